"""One bad day among many: it is singled out and named, and all others are made, whoever asks for them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from math import log2
from pathlib import Path

import duckdb
import pytest
from dagster import AssetKey
from hypothesis import given
from hypothesis import strategies as st

from analytics_assets.automation.run_grouping import NO_RETRY, span_tags
from analytics_assets.dbt import step
from analytics_assets.dbt.bisection import Verdict, make_by_halves
from analytics_assets.foundation.failures import blames_no_row
from analytics_assets.partitions import PartitionOffsets, Read, Upstream, Window
from analytics_assets.state.attempts import Attempts
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.project import ONE_DOMAIN, Project, day

JANUARY = Window.of_days(date(2025, 1, 1), date(2025, 1, 31))

UPSTREAM: Upstream = {
    "stg": [Read("raw")],
    "int": [Read("stg", PartitionOffsets(-1, 0))],
    "other": [Read("raw")],
    "mart": [Read("int"), Read("other")],
}


@dataclass
class Warehouse:
    """What a range run of models says where some days are bad; `told` are the assets whose tests name the days."""

    bad: Mapping[str, set[date]]
    told: frozenset[str] = frozenset()
    runs: list[tuple[tuple[str, ...], Window]] = field(default_factory=list)

    def make(self, names: Sequence[str], part: Window) -> dict[str, Verdict]:
        self.runs.append((tuple(names), part))
        found: dict[str, Verdict] = {}
        for name in names:
            read = [read.asset for read in UPSTREAM[name] if read.asset in names]
            if any(parent not in found or found[parent].failed for parent in read):
                continue
            if days := self.bad.get(name, set()) & set(part.days()):
                is_told = name in self.told
                failed = days if is_told else part.days()
                found[name] = Verdict(dict.fromkeys(failed, "bad"), halve=not is_told and len(part) > 1)
            else:
                found[name] = Verdict()
        return found

    def results(self) -> tuple[dict[str, set[date]], dict[str, set[date]]]:
        """The days that were made, and those that failed, by asset."""
        made, failed = ({name: set() for name in UPSTREAM} for _ in range(2))
        for name, part, verdict in make_by_halves(list(UPSTREAM), UPSTREAM, JANUARY, self.make):
            assert not set(part.days()) & (made[name] | failed[name]), "made twice"
            failed[name] |= verdict.failed.keys()
            made[name] |= set(part.days()) - verdict.failed.keys()
        return made, failed


SOME_DAYS = st.sets(st.sampled_from(list(JANUARY.days())), max_size=4)


@given(
    bad=st.fixed_dictionaries(dict.fromkeys(UPSTREAM, SOME_DAYS)),
    told=st.frozensets(st.sampled_from(list(UPSTREAM))),
)
def test_every_day_is_made_but_the_bad_ones_and_those_made_from_them(
    bad: dict[str, set[date]], told: frozenset[str]
) -> None:
    made, failed = Warehouse(bad, told).results()
    unmade: dict[str, set[date]] = {"raw": set()}
    for name, reads in UPSTREAM.items():
        tied = {
            one
            for read in reads
            for above in unmade[read.asset]
            for one in read.days.downstream_of(Window.of_days(above, above)).days()
        } & set(JANUARY.days())
        assert failed[name] == bad[name] - tied
        assert made[name] == set(JANUARY.days()) - bad[name] - tied
        unmade[name] = bad[name] | tied


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_bad_days_cost_about_two_runs_each_for_every_halving(count: int) -> None:
    bad = set(list(JANUARY.days())[:: 31 // max(count, 1)][:count])
    warehouse = Warehouse({"mart": bad})
    warehouse.results()
    assert len(warehouse.runs) <= 1 + 2 * count * (log2(len(JANUARY)) + 1)


def test_a_broken_statement_is_told_from_a_bad_row() -> None:
    assert blames_no_row("Runtime Error in model a (models/a.sql)\n  Binder Error: no column b")
    assert blames_no_row("Database Error in model a\n  Unrecognized name: b at [1:8]")
    assert not blames_no_row('Runtime Error in model a\n  Conversion Error: Could not cast "Binder Error: x"')


# ------------------------------------------------------------------------------------------------- in real runs

BAD = 3
"""The day, of five, on which no run can make stg_consent_events."""


def break_a_day(project: Project) -> None:
    """Makes every run fail that inserts rows of one day into a staging table, and says nothing of the day."""
    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        # The constraint sees rows that the same transaction deleted: what is there already cannot be inserted again.
        connection.execute("create unique index breaker on staging.stg_consent_events (event_id)")


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Five days of which one has rows, with a file that has landed since and brings rows of all five."""
    project = Project(tmp_path_factory.mktemp("halves") / "data", ONE_DOMAIN)
    project.drop("consent_events", "events-1.csv", HEADER + event("old", day(BAD)))
    project.settle()
    break_a_day(project)
    project.drop("consent_events", "events-2.csv", HEADER + "".join(event(f"e{n}", day(n)) for n in range(5)))
    project.land()
    return project


@pytest.fixture
def copied(broken: Project, tmp_path: Path) -> Iterator[Project]:
    yield broken.copy_to(tmp_path / "copy", with_state=True)


def assert_only_the_bad_day_failed(project: Project) -> None:
    good = {day(number) for number in range(5)} - {day(BAD)}
    for name in ("stg_consent_events", "mart_company_daily", "published_consent"):
        built = step.builds_of(project.declared.catalog[name], project.settings).read(name, project.window)
        assert good - project.tied_to(day(BAD)).get(name, set()) <= built.keys(), name
    assert set(project.frame("mart_company_daily")["the_day"]) >= good
    attempts = Attempts(project.settings.lake_dir).read("stg_consent_events", project.window)
    assert set(attempts) == {day(BAD)}
    assert "uplicate key" in attempts[day(BAD)].reason
    assert attempts[day(BAD)].permanent


def test_the_automation_makes_all_days_but_the_bad_one(copied: Project) -> None:
    runner = copied.runner()
    runner.settle(set(copied.assets))
    assert_only_the_bad_day_failed(copied)
    assert any(f"stg_consent_events for {day(BAD)}" in failure for failure in runner.outcome.failures)
    assert set(runner.outcome.made["stg_consent_events"]) == {day(n) for n in range(5)} - {day(BAD)}
    assert copied.requested() == {}, "it rests"


def test_a_range_makes_all_days_but_the_bad_one(copied: Project) -> None:
    runner = copied.runner()
    assert not runner.make(runner.plan_of_range(set(copied.assets), copied.window))
    assert_only_the_bad_day_failed(copied)


def test_a_run_of_the_ui_makes_all_days_but_the_bad_one_and_shows_which(copied: Project) -> None:
    chosen = ["raw_consent_events", *copied.models]
    result = copied.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=copied.instance,
        asset_selection=[AssetKey(name) for name in chosen],
        tags={**NO_RETRY, **span_tags(copied.window)},
        raise_on_error=False,
    )
    assert not result.success
    shown = {
        materialization.partition
        for materialization in (
            entry.step_materialization_data.materialization for entry in result.get_asset_materialization_events()
        )
        if materialization.asset_key == AssetKey("stg_consent_events")
    }
    assert shown == {str(day(number)) for number in range(5)} - {str(day(BAD))}
    copied.runner().settle(set(copied.assets) - {"stg_consent_events"})
    assert_only_the_bad_day_failed(copied)


def test_a_hostile_number_holds_back_no_other_day(project: Project) -> None:
    rows = "".join(event(f"e{number}", day(number)) for number in range(5))
    hostile = event("x", day(BAD), count=9_223_372_036_854_775_807).replace(",0.5,", ",0.000001,")
    assert hostile.count("0.000001") == 1
    project.drop("consent_events", "events-1.csv", HEADER + rows + hostile)
    runner = project.runner()
    runner.land({"landed_consent_events"})
    runner.settle(set(project.assets))
    assert set(project.frame("mart_company_daily")["the_day"]) >= {day(n) for n in range(5)} - {day(BAD)}
