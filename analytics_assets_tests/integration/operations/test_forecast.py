"""A plan, and then the runs: what is made is exactly what was planned."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from analytics_assets.operations.forecast import Forecast
from analytics_assets.operations.health import BOTH_CHANGED, CODE_CHANGED, NEVER_MADE, grouped
from analytics_assets.operations.runner import Runner
from analytics_assets.partitions import WHOLE
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.health import findings, with_changed_code
from analytics_assets_tests.support.project import ALL_OF_ONE, YESTERDAY, Project, day

pytestmark = pytest.mark.models_alone

Made = dict[str, set[date]]


def names_of(project: Project) -> set[str]:
    return {key.path[-1] for key in project.definitions.resolve_asset_graph().get_all_asset_keys()}


def settle(runner: Runner, project: Project) -> None:
    runner.settle(names_of(project))


def roll_out(runner: Runner, project: Project) -> None:
    runner.roll_out(names_of(project), 2)


def planned(project: Project, do: Callable[[Runner, Project], None]) -> tuple[Made, dict[str, set[str]]]:
    """The days that are planned, and the reasons, by asset; fails if anything was written."""
    state = project.declared.automation.recorded()
    runs = project.instance.get_runs_count()
    forecast = Forecast(project.definitions, project.declared, project.instance)
    with forecast.looking_ahead():
        do(forecast, project)
    assert project.declared.automation.recorded() == state
    assert project.instance.get_runs_count() == runs
    days: Made = {}
    reasons: dict[str, set[str]] = {}
    for one in forecast.estimated():
        days.setdefault(one.asset, set()).update(one.days)
        reasons.setdefault(one.asset, set()).add(one.why)
        assert one.rows is None or one.rows >= 0
    return days, reasons


def made(project: Project, do: Callable[[Runner, Project], None]) -> Made:
    """The days that are really made, by asset."""
    runner = project.runner()
    do(runner, project)
    assert not runner.outcome.failures
    views = {name: {WHOLE.start} for name in runner.outcome.views}
    return {**{name: set(days) for name, days in runner.outcome.made.items()}, **views}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Five days of one domain with its reports, settled."""
    project = Project(tmp_path / "data", ALL_OF_ONE)
    project.simulate(0.02)
    project.settled()
    return project


def test_where_nothing_is_to_be_done_nothing_is_planned(project: Project) -> None:
    assert planned(project, settle) == planned(project, roll_out) == ({}, {})
    assert made(project, settle) == made(project, roll_out) == {}


def test_what_a_late_file_changes_is_planned_once_it_has_landed(project: Project) -> None:
    project.drop("consent_events", "events-late.csv", HEADER + event("late-1", day(1)) + event("late-3", day(3)))
    assert planned(project, settle) == ({}, {}), "what is in a file is not known before"
    project.land()
    plan, why = planned(project, settle)
    assert plan["raw_consent_events"] == {day(1), day(3)}
    assert plan["int_consent_answers"] == {day(1), day(2), day(3), day(4)}, "which look a day back"
    assert plan["consent_dashboard"] == {YESTERDAY}
    assert why["raw_consent_events"] == {"its inputs have changed: new files"}
    assert why["stg_consent_events"] == {"reads what is made again"}
    assert made(project, settle) == plan


def test_what_a_changed_model_changes_is_planned(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = with_changed_code(project, project.folder, monkeypatch, "mart_consent_breakdown_daily")
    by_itself, why = planned(changed, settle)
    assert "mart_consent_breakdown_daily" not in by_itself, "it waits for the rollout"
    plan, why = planned(changed, roll_out)
    assert plan["mart_consent_breakdown_daily"] == plan["mart_company_daily"] == {day(n) for n in range(5)}
    assert why["mart_consent_breakdown_daily"] == {CODE_CHANGED}
    assert "stg_consent_events" not in plan
    assert made(changed, roll_out) == plan


def test_a_change_of_data_and_code_is_planned_once_and_told_in_the_words_of_the_health(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.drop("consent_events", "events-late.csv", HEADER + event("late-1", day(1)))
    project.land()
    project.runner().settle({"raw_consent_events"})
    changed = with_changed_code(project, project.folder, monkeypatch, "src_consent_events")
    told = {(one.why, one.count) for one in grouped(findings(changed)) if one.asset == "src_consent_events"}
    assert told == {(BOTH_CHANGED, 1), (CODE_CHANGED, 4)}
    first = Forecast(changed.definitions, changed.declared, changed.instance)
    with first.looking_ahead():
        settle(first, changed)
    then = Forecast(changed.definitions, changed.declared, changed.instance, first.supposed)
    with then.looking_ahead():
        roll_out(then, changed)
    assert first.planned["src_consent_events", BOTH_CHANGED].days == {day(1)}
    assert then.planned["src_consent_events", CODE_CHANGED].days == {day(n) for n in (0, 2, 3, 4)}
    both = [{(one.asset, on) for one in plan.planned.values() for on in one.days} for plan in (first, then)]
    assert not both[0] & both[1]


def test_what_was_never_made_or_is_gone_is_planned_and_so_is_what_failed(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", ALL_OF_ONE)
    project.simulate(0.02)
    project.land()
    plan, why = planned(project, settle)
    assert {one for reasons in why.values() for one in reasons} == {NEVER_MADE}
    others = {"health", "report_index", *(source.landed_asset for source in project.sources)}
    assert set(plan) == names_of(project) - others
    assert made(project, settle) == plan

    (project.settings.raw_dir / "raw_consent_events" / f"_day={day(2)}" / "data.parquet").unlink()
    plan, why = planned(project, settle)
    assert why["raw_consent_events"] == {"its file is gone or was changed"}
    assert made(project, settle) == plan
