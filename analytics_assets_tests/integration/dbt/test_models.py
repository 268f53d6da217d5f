"""What every dbt model relies on: the window, the checks that look only at it, the mapping from its `meta`."""

from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from analytics_assets.automation.run_grouping import PlannedRun
from analytics_assets.dbt import step
from analytics_assets.dbt.invocation import DbtRun
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.dbt.step import planned_builds
from analytics_assets.dbt.translator import ModelTranslator
from analytics_assets.dbt.variables import window_vars
from analytics_assets.defs.attribution.sources import EXCHANGE_RATES, MARKETING_SPEND, REVENUE_AND_REWARDS
from analytics_assets.defs.campaigns.sources import CAMPAIGNS
from analytics_assets.defs.consent.sources import CONSENT_EVENTS
from analytics_assets.foundation.hashes import digest
from analytics_assets.partitions import PartitionOffsets, Read, Window, offsets_of
from analytics_assets.simulation.defects import Row
from analytics_assets.simulation.files import write_rows
from analytics_assets.spec.source import PolarsType, Source
from analytics_assets.state.builds import Build, builds_of_model
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.project import WITHOUT_REPORTS, Project, day

pytestmark = pytest.mark.models_alone


def test_the_window_of_a_run_is_half_open() -> None:
    assert window_vars(Window.of_days(day(1), day(2))) == {"window_start": str(day(1)), "window_end": str(day(3))}


def test_a_window_has_at_least_one_day() -> None:
    with pytest.raises(ValueError, match="at least one day"):
        Window(day(1), day(1))


def test_a_models_meta_names_the_days_that_it_reads(project: Project) -> None:
    translator = ModelTranslator(project.declared, {})
    model = {"name": "mart", "config": {"meta": {"reads": [{"model": "stg", "days": [-1, 2]}]}}}
    upstream = {name: {"name": name, "resource_type": "model"} for name in ("stg", "other")}
    assert offsets_of(translator.get_partition_mapping(model, upstream["stg"])) == PartitionOffsets(-1, 2)
    assert offsets_of(translator.get_partition_mapping(model, upstream["other"])) == PartitionOffsets()
    assert PartitionOffsets(-1, 2).upstream_of(Window.of_days(day(2), day(2))) == Window.of_days(day(1), day(4))
    assert PartitionOffsets(-1, 2).downstream_of(Window.of_days(day(2), day(2))) == Window.of_days(day(0), day(3))


def test_what_a_run_will_have_built_follows_from_what_was_built_before_it() -> None:
    window = Window.of_days(day(1), day(1))
    raw = Build("pieces", "1")
    plan = planned_builds(
        [("stg", [Read("raw")], "sql"), ("mart", [Read("stg", PartitionOffsets(0, 1))], "sql")],
        window,
        lambda asset, days: {at: raw for at in days.days() if asset == "raw"},
    )
    stg = Build(digest([f"raw {day(1)} {raw.version}"]), "sql")
    assert plan["stg"] == {day(1): stg}
    assert plan["mart"] == {day(1): Build(digest([f"stg {day(1)} {stg.version}"]), "sql")}


def test_checks_look_only_at_the_days_that_were_built(project: Project) -> None:
    rows = "".join(event(f"{name}-{number}", day(number)) for number in range(5) for name in "ab")
    project.drop("consent_events", "events-1.csv", HEADER + rows)
    project.settle("stg_consent_events")
    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        connection.execute(
            f"update staging.stg_consent_events set event_id = 'twice' where event_date = date '{day(1)}'"
        )
    arguments = ["test", "--select", "unique_together_stg_consent_events_event_date__event_id"]

    def failures(number: int) -> int:
        window = Window.of_days(day(number), day(number))
        return len(run_dbt(arguments, project.settings, project.sources, window).failures)

    assert (failures(1), failures(2)) == (1, 0)


@pytest.mark.with_checks
def test_a_key_that_stands_on_two_days_is_reported_and_stays_on_both(project: Project) -> None:
    project.drop(
        "consent_events", "events-1.csv", HEADER + event("a", day(1)) + event("a", day(3)) + event("b", day(3))
    )
    runner = project.settle("stg_consent_events")
    assert any(f"event_id a, event_date {day(1)}, other_day {day(3)}" in warning for warning in runner.outcome.warnings)
    assert project.frame("stg_consent_events").height == 3


def test_a_model_that_fails_leaves_its_old_days_and_keeps_those_behind_it_from_running(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.settle()
    before = project.tables()
    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        # Rows that are deleted and inserted within one transaction break a unique index: the insert fails, after the
        # delete has gone through.
        connection.execute("create unique index breaker on staging.stg_consent_events (event_id)")
    project.drop("consent_events", "events-2.csv", HEADER + event("b", day(1)))
    runner = project.runner()
    runner.land({"landed_consent_events"})
    runner.settle(set(project.assets))
    assert any("uplicate key" in failure for failure in runner.outcome.failures), runner.outcome.failures
    assert "mart_company_daily" not in runner.outcome.made

    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        connection.execute("drop index staging.breaker")
    assert project.tables()[("stg_consent_events", day(1))] == before[("stg_consent_events", day(1))]
    project.settle()
    assert project.frame("mart_company_daily")["total_events"].to_list() == [4]


def test_a_model_by_hand_without_a_window_says_what_to_do(project: Project) -> None:
    run = run_dbt(["run", "--select", "stg_companies"], project.settings, project.sources)
    assert "analytics-assets materialize" in run.failures["stg_companies"]


def test_no_row_is_lost_however_odd_it_is(project: Project) -> None:
    plain = {
        "TYPE": "consent.given",
        "RATE": "0.5",
        "EVENT_TIME": f"{day(1)} 12:00:00",
        "APIKEY": "shop",
        "CONSENT": "opt-out",
        "COUNT": "2",
        "COUNTRY": '"FR"',
    }
    oddities: list[Row] = [
        {"TYPE": None}, {"TYPE": "brand.new"}, {"CONSENT": None}, {"CONSENT": "brand new"}, {"APIKEY": None},
        {"COUNTRY": None}, {"COUNTRY": '""'}, {"COUNTRY": '"FR","US"'}, {"RATE": "0.5000000015"}, {"COUNT": "0"},
        {"RATE": None}, {"RATE": "0"}, {"RATE": "-1"}, {"RATE": "1.5"},
    ]  # fmt: skip
    rows = [{**plain, **oddity, "EVENT_ID": str(number)} for number, oddity in enumerate([{}, *oddities])]
    write_rows(project.settings.inbox_dir / "consent_events" / "events-odd.csv", rows, CONSENT_EVENTS.columns)
    project.settle()
    breakdown, company = project.frame("mart_consent_breakdown_daily"), project.frame("mart_company_daily")
    assert breakdown["sampled_rows"].sum() == company["sampled_rows"].sum() == len(rows) == 15
    # ten rows of 2 / 0.5 events, one of none, and four of 2 whose rate cannot be one
    assert breakdown["events"].sum() == company["total_events"].sum() == 48
    consent = project.frame("mart_consent_daily")
    statuses = ("full_opt_in", "partial_opt_in", "opt_out", "empty_status", "other_status")
    assert consent.select(pl.sum_horizontal(f"{status}_events" for status in statuses).sum()).item() == 48
    by_country = project.frame("mart_consent_answers_daily")
    assert project.frame("int_consent_answers").height == 13
    assert consent["answers"].sum() == by_country["answers"].sum() == 13


PLAIN = (
    (
        CONSENT_EVENTS,
        {
            "TYPE": "pageview",
            "EVENT_TIME": f"{day(1)} 12:00:00",
            "RATE": "0.000001",
            "APIKEY": "shop",
            "CONSENT": "empty",
            "COUNT": "1000000000",
        },
    ),
    (
        CAMPAIGNS,
        {
            "date": str(day(1)),
            "country": "DE",
            "currency": "GBP",
            "platform": "search",
            "last_updated_at": f"{day(1)} 12:00:00",
            **dict.fromkeys(("impressions", "clicks", "conversions"), "1000000000000"),
            **dict.fromkeys(("cost", "revenue"), "999999999999.999999"),
        },
    ),
    (
        MARKETING_SPEND,
        {
            "date": str(day(1)),
            "campaign": "sale",
            "spend": "999999999999.999999999",
            **dict.fromkeys(("impressions", "clicks", "installs"), "1000000000000"),
        },
    ),
    (
        REVENUE_AND_REWARDS,
        {"date": str(day(1)), **dict.fromkeys(("revenue", "reward_to_user"), "999999999999.999999999")},
    ),
    (EXCHANGE_RATES, {"date": str(day(1)), "rate": "9999999.999999999"}),
)
"""Rows of the sources that hold numbers, each as large as it may be."""


def hostile(dtype: PolarsType) -> tuple[str, ...]:
    """Numbers that a type can hold and no sum can."""
    if dtype.is_float():
        return ("1e308", "-1e308", "1e-300", "4e-7", "0.000001")
    return ("999999999999.999999",) if dtype.is_decimal() else (str(2**63 - 1), str(10**18))


@pytest.mark.with_checks
def test_the_largest_number_of_any_column_fails_no_day(tmp_path: Path) -> None:
    """It is rejected, or its sums can hold it."""
    known = {source.name for source, _ in PLAIN}  # a domain of somebody's own has none of them
    domains = [domain for domain in WITHOUT_REPORTS if known & {one.name for one in domain.sources if has_numbers(one)}]
    project = Project(tmp_path / "data", domains)
    assert {source.name for source in project.sources if has_numbers(source)} == known
    for source, plain in PLAIN:
        odd = [
            {name: value} for name, dtype in source.columns.items() if dtype.is_numeric() for value in hostile(dtype)
        ]
        rows: list[Row] = [
            {**plain, **what, source.primary_key[0]: str(number)} for number, what in enumerate([{}, *odd])
        ]
        name = source.patterns[0].replace("*", "odd").replace(".jsonl", ".csv")
        write_rows(project.settings.inbox_dir / source.name / name, rows, source.columns)
    project.settle()
    assert project.frame("mart_consent_daily").filter(pl.col("the_day") == day(1)).height == 1
    assert project.frame("daily_campaign_summary").filter(pl.col("the_day") == day(1)).height == 1
    assert project.frame("channel_performance_daily").filter(pl.col("the_day") == day(1))["revenue"].max() > 10**11
    assert project.frame("raw_consent_events")["COUNT"].max() == 10**9
    assert project.frame("raw_campaigns")["clicks"].max() == 10**12


def has_numbers(source: Source) -> bool:
    return any(dtype.is_numeric() for dtype in source.columns.values())


def test_a_day_that_was_rewritten_and_put_back_while_a_run_read_it_is_made_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows that the run read are those of neither before nor after it."""

    def tell(of: Project, count: int) -> None:
        of.drop("consent_events", "events-1.csv", HEADER + event("a", day(1), count=count) + event("b", day(2)))
        of.land()
        assert of.runner().make([PlannedRun(("raw_consent_events",), of.window)])

    tell(project, 1)
    other, runs = Project(project.folder, project.domains), []

    def while_others_write(*arguments: Any, **named: Any) -> DbtRun:
        runs.append(arguments)
        if len(runs) > 1:
            return run_dbt(*arguments, **named)
        tell(other, 5)
        run = run_dbt(*arguments, **named)
        tell(other, 1)
        return run

    monkeypatch.setattr(step, "run_dbt", while_others_write)
    made = ("src_consent_events", "stg_consent_events")
    assert project.runner().make([PlannedRun(made, project.window)])
    assert set(project.frame("stg_consent_events")["sampled_count"]) == {1, 5}, "it read what was there for a while"
    assert builds_of_model(made[1], project.settings).read(made[1], project.window) == {}
    project.settle("stg_consent_events")
    assert set(project.frame("stg_consent_events")["sampled_count"]) == {1}


def test_a_developers_schema_has_days_of_its_own(project: Project) -> None:
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.settle()
    before = project.tables()
    own = Project(project.folder, project.domains, {"dbt_target": "dev", "user": "ann"})
    assert {"stg_consent_events", "mart_company_daily"} <= own.requested().keys()
    own.settle("mart_company_daily")
    assert own.node("mart_company_daily")["schema"] == "dbt_ann"
    assert own.frame("mart_company_daily").equals(project.frame("mart_company_daily"))
    assert own.settings.exports_dir == project.settings.exports_dir / "dbt_ann"
    assert own.settings.published_records_dir == project.settings.published_records_dir / "dbt_ann"
    assert project.tables() == before
    assert project.requested() == {}

    project.settings.warehouse_file.unlink()
    own.settle("stg_consent_events")
    assert {"stg_consent_events", "mart_company_daily"} <= project.requested().keys(), "its records outlived the file"
