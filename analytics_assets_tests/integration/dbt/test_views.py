"""Models without days: made when they are not there as their code says, and otherwise left alone."""

from collections.abc import Callable
from copy import deepcopy
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest
from dagster import build_sensor_context

from analytics_assets.automation.run_grouping import NO_RETRY, one_run_per_span
from analytics_assets.dbt import step
from analytics_assets.dbt.code_versions import code_versions
from analytics_assets.dbt.invocation import DbtError
from analytics_assets.dbt.manifest import usable_manifest
from analytics_assets.dbt.project import load_manifest
from analytics_assets.operations.health import State
from analytics_assets.partitions import WHOLE
from analytics_assets.spec.model_node import Manifest
from analytics_assets.state.builds import builds_of_model
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.health import findings, with_changed_code
from analytics_assets_tests.support.project import ONE_DOMAIN, Project, day

pytestmark = pytest.mark.models_alone

VIEW = "rpt_companies"
ASKED_FOR = {VIEW: {"None"}}


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Five days of a domain, made by the automation."""
    project = Project(tmp_path_factory.mktemp("views") / "data", ONE_DOMAIN)
    project.simulate()
    assert project.settle().outcome.views == [VIEW]
    return project


@pytest.fixture
def copied(settled: Project, tmp_path: Path) -> Project:
    """The same in a folder of its own, under a Dagster that knows of it."""
    project = settled.copy_to(tmp_path / "data", with_state=True)
    project.land()  # a file that was copied is another one until it was read
    return project


def published(project: Project, query: str) -> list[tuple]:
    with duckdb.connect(str(project.settings.published_file), read_only=True) as connection:
        return connection.execute(query).fetchall()


def of_companies(first: date, last: date) -> str:
    return f"from reporting.rpt_companies(date '{first}', date '{last}')"


# --------------------------------------------------------------------------------------------- when it is made


def test_it_waits_until_all_that_it_reads_was_made(project: Project) -> None:
    for _ in range(5):
        asked = project.requested()
        if VIEW in asked:
            break
        (finding,) = [finding for finding in findings(project) if finding.asset == VIEW]
        assert (finding.state, finding.days) == (State.MISSING, None)
        assert finding.why.startswith("waits for mart_consent_")
        project.runner().make(project.runner()._tick(set(project.assets), set()))
    assert asked == ASKED_FOR
    (finding,) = findings(project)
    assert (finding.asset, finding.state, finding.why) == (
        VIEW,
        State.MISSING,
        "it was never made, or its making did not end",
    )


def test_new_rows_and_late_ones_ask_for_nothing(copied: Project) -> None:
    assert copied.requested() == {}
    copied.drop("consent_events", "events-late.csv", HEADER + event("late", day(1)))
    before = published(copied, f"select total_events {of_companies(day(1), day(1))} where company_id is null")
    runner = copied.settle()
    assert runner.outcome.made
    assert runner.outcome.views == []
    after = published(copied, f"select total_events {of_companies(day(1), day(1))} where company_id is null")
    assert sum(n for (n,) in after) == sum(n for (n,) in before) + 2, "a view answers of what there is now"


def test_changed_code_is_made_at_once_and_once(copied: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = with_changed_code(copied, copied.folder, monkeypatch, VIEW)
    (finding,) = findings(changed)
    assert (finding.state, finding.next_try) == (State.OLD_CODE, "at the next tick")
    assert changed.requested() == ASKED_FOR
    runner = changed.settle()
    assert (runner.outcome.made, runner.outcome.views) == ({}, [VIEW])
    assert changed.requested() == {}
    assert findings(changed) == []


def test_it_is_made_again_when_older_code_no_longer_made_the_tables_that_it_reads(
    copied: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their columns may be others; a view that failed for want of one is so tried again."""
    changed = with_changed_code(copied, copied.folder, monkeypatch, "mart_consent_daily")
    assert changed.requested() == {}
    runner = changed.runner()
    runner.roll_out({*changed.assets, *changed.views}, days_per_run=5)
    assert runner.outcome.failures == []
    assert runner.outcome.views == [VIEW]
    assert changed.requested() == {}


def test_what_fails_rests_and_a_person_may_try_again(copied: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise DbtError("Binder Error: no such column")

    changed = with_changed_code(copied, copied.folder, monkeypatch, VIEW)
    with monkeypatch.context() as patched:
        patched.setattr(step, "run_dbt", failing)
        runner = changed.runner()
        runner.settle(set(changed.views))
    assert any("no such column" in failure for failure in runner.outcome.failures)
    assert changed.requested() == {}
    (finding,) = findings(changed)
    assert (finding.state, finding.days) == (State.FAILED, None)
    assert "no such column" in finding.why
    assert changed.settle().outcome.views == [VIEW]
    assert findings(changed) == []


def test_a_warehouse_that_was_deleted_is_made_again_with_its_views(copied: Project) -> None:
    copied.settings.warehouse_file.unlink()
    assert VIEW not in copied.requested()
    assert copied.settle().outcome.views == [VIEW]
    assert copied.requested() == {}
    with duckdb.connect(str(copied.settings.warehouse_file), read_only=True) as connection:
        assert connection.execute(f"select count(*) > 0 {of_companies(day(0), day(4))}").fetchone() == (True,)


def test_the_sensor_asks_for_one_run_that_nobody_starts_again(copied: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = with_changed_code(copied, copied.folder, monkeypatch, VIEW)
    sensor = changed.definitions.resolve_sensor_def("out_of_date_days")
    context = build_sensor_context(
        instance=changed.instance,
        repository_def=changed.definitions.get_repository_def(),
        sensor_name=sensor.name,
    )
    with context:
        (request,) = sensor.evaluate_tick(context).run_requests or []
    assert [key.path[-1] for key in request.asset_selection or ()] == [VIEW]
    assert request.partition_key is None
    assert NO_RETRY.items() <= request.tags.items()
    assert one_run_per_span([request])[0].asset_selection == request.asset_selection


def test_a_model_without_days_that_holds_rows_or_is_read_by_one_with_days_is_left_out(project: Project) -> None:
    def left_out(change: Callable[[dict], None]) -> list[str]:
        manifest = deepcopy(dict(load_manifest(project.settings).raw))
        change(manifest["nodes"])
        usable, said = usable_manifest(Manifest(manifest), {})
        assert "mart_company_daily" not in usable.made
        return said

    def forgotten(nodes: dict) -> None:
        del nodes["model.analytics.mart_company_daily"]["config"]["meta"]["day"]

    def read(nodes: dict) -> None:
        nodes["model.analytics.mart_company_daily"]["depends_on"]["nodes"].append(f"model.analytics.{VIEW}")

    assert "mart_company_daily holds rows, but its meta names no column that holds their day" in left_out(forgotten)[0]
    assert f"mart_company_daily has days, but reads {VIEW}, which has none" in left_out(read)[0]


def test_the_materialization_of_another_warehouse_is_a_part_of_its_code(project: Project) -> None:
    manifest = load_manifest(project.settings)
    other = deepcopy(dict(manifest.raw))
    other["macros"]["macro.analytics.materialization_table_function_bigquery"]["macro_sql"] += " "
    before, after = code_versions(manifest, project.sources), code_versions(Manifest(other), project.sources)
    functions = {node.unique_id for node in manifest.models if node.materialized == "table_function"}
    assert f"model.analytics.{VIEW}" in functions
    assert {name for name in after if after[name] != before[name]} == functions


# ------------------------------------------------------------------------------------------- the published copy


def test_a_view_that_is_made_after_the_last_day_was_published_is_published_too(copied: Project) -> None:
    for file in (copied.settings.warehouse_file, copied.settings.published_file):
        with duckdb.connect(str(file)) as connection:
            connection.execute("drop macro table reporting.rpt_companies")
    builds_of_model(VIEW, copied.settings).forget(VIEW, WHOLE.days())
    rows = published(copied, "select count(*) from marts.mart_company_daily")
    runner = copied.settle()
    assert (runner.outcome.made, runner.outcome.views) == ({}, [VIEW])
    assert published(copied, f"select count(*) > 0 {of_companies(day(0), day(4))}") == [(True,)]
    assert published(copied, "select count(*) from marts.mart_company_daily") == rows


def test_a_view_that_could_not_be_published_is_made_again(copied: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise OSError("No space left on device")

    with duckdb.connect(str(copied.settings.published_file)) as connection:
        connection.execute("drop macro table reporting.rpt_companies")
    builds_of_model(VIEW, copied.settings).forget(VIEW, WHOLE.days())
    with monkeypatch.context() as patched:
        patched.setattr(step, "publish_views", failing)
        runner = copied.runner()
        runner.settle(set(copied.views))
    assert any("disk is full" in failure for failure in runner.outcome.failures)
    assert copied.settle().outcome.views == [VIEW]
    assert published(copied, f"select count(*) > 0 {of_companies(day(0), day(4))}") == [(True,)]


# ---------------------------------------------------------------------------------------------- rpt_companies

TYPES = {
    "pageview_events": "pageview",
    "consent_asked_events": "consent.asked",
    "consent_given_events": "consent.given",
    "ui_action_events": "ui.action",
}
STATUSES = {
    "full_opt_in_events": "full opt-in",
    "partial_opt_in_events": "partial opt-in",
    "opt_out_events": "opt-out",
    "empty_status_events": "empty",
}
PARTS = ("answers", "pairs", "pairs_by_user", "pair_seconds", "records", "record_seconds")


@pytest.mark.parametrize(("first", "last"), [(0, 4), (1, 3), (2, 2), (3, 4)])
def test_a_company_over_a_span_is_what_its_parts_come_to(settled: Project, first: int, last: int) -> None:
    """An oracle of its own: the rows of the marts, added up with Polars."""
    in_span = pl.col("the_day").is_between(day(first), day(last))
    cells = settled.frame("mart_consent_breakdown_daily").filter(in_span)
    days = settled.frame("mart_consent_daily").filter(in_span)
    with duckdb.connect(str(settled.settings.published_file), read_only=True) as connection:
        rows = connection.execute(f"select * {of_companies(day(first), day(last))}").pl().rows(named=True)
    assert {row["company_id"] for row in rows} == set(cells["company_id"]) == set(days["company_id"])
    assert len(rows) == cells["company_id"].n_unique() > 3

    for row in rows:
        ours = cells.filter(pl.col("company_id").eq_missing(pl.lit(row["company_id"])))
        theirs = days.filter(pl.col("company_id").eq_missing(pl.lit(row["company_id"])))
        assert row["total_events"] == ours["events"].sum()
        assert row["sampled_rows"] == ours["sampled_rows"].sum()
        for columns, of, other in (
            (TYPES, "event_type", "other_events"),
            (STATUSES, "consent_status", "other_status_events"),
        ):
            expected = {name: ours.filter(pl.col(of) == value)["events"].sum() for name, value in columns.items()}
            expected[other] = row["total_events"] - sum(expected.values(), Decimal(0))
            assert {name: row[name] for name in expected} == expected
            for name in expected:
                share = row[f"{name.removesuffix('_events')}_share"]
                assert share == pytest.approx(float(row[name] / row["total_events"]), abs=1e-6)
        margin = 1.96 * float(ours["events_variance"].sum()) ** 0.5
        if row["sampled_rows"] < 30:
            assert row["total_events_low"] is None
        else:
            assert row["total_events_low"] == pytest.approx(max(float(row["total_events"]) - margin, 0))
            assert row["total_events_high"] == pytest.approx(float(row["total_events"]) + margin)
        assert (row["asked"], row["given"]) == (row["consent_asked_events"], row["consent_given_events"])
        rate = float(row["given"] / row["asked"]) if row["asked"] else None
        assert row["conversion_rate"] == (rate if rate is None else pytest.approx(rate, abs=1e-6))
        assert row["is_conversion_above_one"] == (rate is not None and rate > 1)
        assert row["countries"] == len(set(ours["country_code"]) - {"unknown"})

        assert {name: row[name] for name in PARTS} == {name: theirs[name].sum() for name in PARTS}
        for average, over, under in (
            ("avg_seconds_asked_to_given", "pair_seconds", "pairs"),
            ("pair_coverage", "pairs", "answers"),
            ("avg_seconds_created_to_updated", "record_seconds", "records"),
            ("record_coverage", "records", "answers"),
        ):
            expected_ratio = float(row[over]) / row[under] if row[under] else None
            assert row[average] == (
                expected_ratio if expected_ratio is None else pytest.approx(expected_ratio, abs=1e-6)
            )

        newest = ours.sort("the_day").row(-1, named=True)
        assert {name: row[name] for name in ("industry_back", "industry_front", "hq_country")} == {
            name: newest[name] for name in ("industry_back", "industry_front", "hq_country")
        }
        dates = sorted(set(ours["the_day"]))
        assert (row["first_event_date"], row["last_event_date"]) == (dates[0], dates[-1])
        assert row["days_with_events"] == len(dates)


def test_spans_side_by_side_add_up_to_the_whole_but_for_the_countries(settled: Project) -> None:
    measures = ("total_events", "asked", "answers", "record_seconds", "days_with_events", "countries")
    sums = f"select {', '.join(f'sum({measure})' for measure in measures)}"
    (whole,) = published(settled, f"{sums} {of_companies(day(0), day(3))}")
    spans = ((day(0), day(0)), (day(1), day(2)), (day(3), day(3)))
    parts = [published(settled, f"{sums} {of_companies(*span)}")[0] for span in spans]
    added = tuple(sum(values) for values in zip(*parts, strict=True))
    assert added[:-1] == whole[:-1]
    assert added[-1] > whole[-1] > 0, "a country that is there on two days is one"
