"""The published copy: whole, of the changed days only, and readable while it is replaced."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest
from typer.testing import CliRunner

from analytics_assets.cli.app import app
from analytics_assets.dbt import step
from analytics_assets.dbt.invocation import DbtRun
from analytics_assets.dbt.project import load_manifest
from analytics_assets.partitions import WHOLE, Window
from analytics_assets.reports.datasets import read_datasets
from analytics_assets.settings import get_settings
from analytics_assets.spec.model_node import ModelNode
from analytics_assets.spec.report import Dataset, Dimension, Format, Measure, Report, Sum, Table
from analytics_assets.state.builds import Build, builds_of, builds_of_model, newest_export
from analytics_assets.warehouse.choice import warehouse_of
from analytics_assets.warehouse.published import Published, publish, publish_views
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.project import CONSENT, Project, day

pytestmark = pytest.mark.models_alone

MART = ModelNode(
    {
        "name": "mart",
        "resource_type": "model",
        "schema": "marts",
        "alias": "mart",
        "columns": {},
        "config": {"materialized": "incremental", "meta": {"day": "the_day"}},
    }
)
VIEW = ModelNode(
    {
        "name": "rpt",
        "resource_type": "model",
        "schema": "reporting",
        "alias": "rpt",
        "columns": {},
        "config": {"materialized": "view", "meta": {}},
    }
)
FUNCTION = ModelNode({**VIEW.raw, "config": {"materialized": "table_function", "meta": {}}})

COMPANIES = Report(
    name="companies",
    title="Companies",
    days=5,
    datasets=(Dataset("mart_company_daily", ("company_id",), ("total_events",)),),
    dimensions=(Dimension("company_id", "Company"),),
    measures=(Measure("events", "Events", Sum("mart_company_daily", "total_events"), Format.COUNT, "Events."),),
    key_figures=("events",),
    charts=(),
    tables=(Table("companies", "Companies", ("company_id",), ("events",)),),
)


def fill(project: Project, *statements: str) -> None:
    project.settings.warehouse_file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        for statement in statements:
            connection.execute(statement)


def copy_days(
    project: Project, models: Sequence[ModelNode], window: Window
) -> tuple[Mapping[date, int], Mapping[date, list[str]]]:
    """Publishes some models; gives rows and differences by day."""
    (copied,) = publish(project.settings, {"shop": models}, window).values()
    assert isinstance(copied, Published), copied
    return copied.rows, copied.differing


def make(project: Project, *days: date, models: Sequence[ModelNode] = (MART,)) -> None:
    """Records days of some tables as made, and with them the views."""
    for node in models:
        made = days if node.has_days else [WHOLE.start]
        builds_of(node.asset, project.settings).record(node.name, dict.fromkeys(made, Build("inputs", "code")))


def published(project: Project, query: str) -> list[tuple]:
    with duckdb.connect(str(project.settings.published_file), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_only_the_days_of_the_window_are_copied_and_a_day_that_became_empty_is_emptied(project: Project) -> None:
    fill(
        project,
        "create schema marts",
        f"create table marts.mart as select date '{day(0)}' + n::int as the_day, n from range(5) t (n)",
    )
    make(project, *project.window.days())
    copy_days(project, [MART], Window.of_days(day(1), day(2)))
    assert published(project, "select n from marts.mart order by n") == [(1,), (2,)]
    fill(project, "delete from marts.mart where n = 1", "update marts.mart set n = n + 10")
    copy_days(project, [MART], Window.of_days(day(1), day(1)))
    assert published(project, "select n from marts.mart order by n") == [(2,)]


def test_a_column_that_was_added_comes_with_all_days(project: Project) -> None:
    fill(
        project,
        "create schema marts",
        f"create table marts.mart as select date '{day(0)}' + n::int as the_day, n from range(5) t (n)",
    )
    make(project, *project.window.days())
    copy_days(project, [MART], project.window)
    fill(project, "alter table marts.mart add column more text default 'x'")
    copy_days(project, [MART], Window.of_days(day(4), day(4)))
    assert published(project, "select count(*), count(more) from marts.mart") == [(5, 5)]


def test_a_new_column_brings_no_day_that_is_held_back(project: Project) -> None:
    """Nor does anything else: the day stays as it last passed, and one that never passed stays away."""
    fill(
        project,
        "create schema marts",
        f"create table marts.mart as select date '{day(0)}' + n::int as the_day, n, 'old' as kept from range(3) t (n)",
    )
    make(project, day(0), day(1), day(2))
    copy_days(project, [MART], Window.of_days(day(0), day(2)))
    builds_of_model("mart", project.settings).forget("mart", [day(1)])
    fill(
        project,
        "update marts.mart set n = 99",
        f"insert into marts.mart values (date '{day(3)}', 99, 'never passed')",
        "alter table marts.mart drop column kept",
        "alter table marts.mart add column more text default 'x'",
    )
    rows, differing = copy_days(project, [MART], Window.of_days(day(2), day(3)))
    assert published(project, "select the_day, n, more from marts.mart order by the_day") == [
        (day(0), 99, "x"),
        (day(1), 1, None),
        (day(2), 99, "x"),
    ]
    assert (rows[day(2)], rows[day(3)], differing) == (1, 0, {})
    copy_days(project, [MART], project.window)
    assert published(project, f"select n from marts.mart where the_day = '{day(1)}'") == [(1,)]

    fill(project, "alter table marts.mart alter n type date using date '2026-01-01'")
    copy_days(project, [MART], Window.of_days(day(2), day(2)))
    assert published(project, "select the_day from marts.mart order by the_day") == [(day(0),), (day(2),)]


def test_a_view_that_is_held_back_stays_as_it_was(project: Project) -> None:
    fill(
        project,
        "create schema marts",
        "create schema reporting",
        f"create table marts.mart as select date '{day(0)}' as the_day, 1 as n",
        'create view reporting.rpt as select sum(n) as n from "analytics"."marts"."mart"',
    )
    make(project, day(0), models=[MART, VIEW])
    copy_days(project, [MART, VIEW], project.window)
    builds_of_model("rpt", project.settings).forget("rpt", [WHOLE.start])
    fill(project, 'create or replace view reporting.rpt as select -sum(n) as n from "analytics"."marts"."mart"')
    copy_days(project, [MART, VIEW], project.window)
    assert published(project, "select n from reporting.rpt") == [(1,)]


def test_a_view_over_marts_answers_from_the_copy(project: Project) -> None:
    fill(
        project,
        "create schema marts",
        "create schema reporting",
        f"create table marts.mart as select date '{day(0)}' as the_day, 1 as n",
        'create view reporting.rpt as select sum(n) as n from "analytics"."marts"."mart"',
    )
    make(project, *project.window.days(), models=[MART, VIEW])
    copy_days(project, [MART, VIEW], project.window)
    assert published(project, "select n from reporting.rpt") == [(1,)]


def test_a_table_function_over_marts_answers_from_the_copy(project: Project) -> None:
    fill(
        project,
        "create schema marts",
        "create schema reporting",
        f"create table marts.mart as select date '{day(0)}' + n::int as the_day, n from range(5) t (n)",
        'create macro reporting.rpt(a, b) as table select sum(n) as n from "analytics"."marts"."mart"'
        " where the_day >= a and the_day <= b",
    )
    make(project, *project.window.days(), models=[MART, FUNCTION])
    copy_days(project, [MART, FUNCTION], project.window)
    assert published(project, f"select n from reporting.rpt(date '{day(2)}', date '{day(4)}')") == [(9,)]


def test_models_and_columns_have_their_descriptions_as_comments_and_these_follow_the_yml(project: Project) -> None:
    fill(
        project,
        "create schema marts",
        "create schema reporting",
        f'create table marts.mart as select date \'{day(0)}\' as the_day, 1 as n, 2 as "odd ""name"',
        "create view reporting.rpt as select n from analytics.marts.mart",
        "create macro reporting.of(a) as table select n from analytics.marts.mart",
    )
    hostile = 'it\'s "n"; drop table marts.mart; --'

    def described(node: ModelNode, said: str, **columns: str) -> ModelNode:
        of_columns = {name: {"name": name, "description": text} for name, text in columns.items()}
        return ModelNode({**node.raw, "description": said, "columns": of_columns})

    odd = {'odd "name': "odd"}
    of = ModelNode({**FUNCTION.raw, "name": "of", "alias": "of"})
    mart = described(MART, "The mart.", the_day="Its day.", n=hostile, gone="no column", **odd)
    nodes = [mart, described(VIEW, "A view.", n="Of the view."), described(of, "A function.")]
    make(project, *project.window.days(), models=nodes)
    comments = (
        "select table_name, column_name, comment from duckdb_columns() where comment is not null union all "
        "select table_name, '', comment from duckdb_tables() where comment is not null union all "
        "select view_name, '', comment from duckdb_views() where comment is not null union all "
        "select function_name, '', comment from duckdb_functions() where schema_name = 'reporting' order by all"
    )
    expected = [
        ("mart", "", "The mart."),
        ("mart", "n", hostile),
        ("mart", 'odd "name', "odd"),
        ("mart", "the_day", "Its day."),
        ("of", "", "A function."),
        ("rpt", "", "A view."),
        ("rpt", "n", "Of the view."),
    ]
    for _ in range(2):
        copy_days(project, nodes, project.window)
        assert published(project, comments) == expected
    copy_days(project, [described(mart, "Another.", n=""), *nodes[1:]], Window.of_days(day(1), day(1)))
    assert published(project, comments) == [("mart", "", "Another."), *expected[2:]]


def test_a_view_whose_table_or_column_the_copy_lacks_holds_up_nothing_and_comes_with_them(project: Project) -> None:
    other = ModelNode({**MART.raw, "name": "other", "alias": "other"})
    fill(
        project,
        "create schema marts",
        "create schema reporting",
        f"create table marts.mart as select date '{day(0)}' as the_day, 1 as n",
        f"create table marts.other as select date '{day(0)}' as the_day, 1 as n",
        'create view reporting.rpt as select max(n) as n from "analytics"."marts"."other"',
    )
    make(project, *project.window.days(), models=[MART, other, VIEW])
    publish_views(project.settings, [VIEW])
    assert not project.settings.published_file.exists(), "without a day there is no copy"
    copy_days(project, [MART, VIEW], project.window)
    publish_views(project.settings, [VIEW])
    assert published(project, "select n from marts.mart") == [(1,)]
    copy_days(project, [MART, other, VIEW], project.window)
    assert published(project, "select n from reporting.rpt") == [(1,)]

    fill(
        project,
        "alter table marts.other add column more int default 7",
        'create or replace view reporting.rpt as select max(more) as n from "analytics"."marts"."other"',
    )
    publish_views(project.settings, [VIEW])
    assert published(project, "select n from reporting.rpt") == [(1,)], "the old one stays until the column comes"
    copy_days(project, [MART, other, VIEW], Window.of_days(day(1), day(1)))
    assert published(project, "select n from reporting.rpt") == [(7,)]


def test_a_part_that_cannot_be_copied_stays_as_it_was_and_holds_up_no_other(project: Project) -> None:
    other = ModelNode({**MART.raw, "name": "other", "alias": "other"})
    fill(
        project,
        "create schema marts",
        f"create table marts.mart as select date '{day(0)}' as the_day, 1 as n, 'old' as kept",
        f"create table marts.other as select date '{day(0)}' as the_day, 1 as n",
    )
    make(project, day(0), models=[MART, other])
    parts = {"a": [other], "b": [MART]}
    assert all(isinstance(one, Published) for one in publish(project.settings, parts, project.window).values())
    fill(project, "drop table marts.other", "update marts.mart set n = 2")
    found = publish(project.settings, parts, project.window)
    assert isinstance(found["a"], duckdb.Error) and isinstance(found["b"], Published)
    assert published(project, "select n from marts.other") == [(1,)]
    assert published(project, "select n from marts.mart") == [(2,)]


def test_it_is_read_while_the_warehouse_is_written_and_while_it_is_replaced(project: Project) -> None:
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.settle()
    query = "select sum(total_events) from marts.mart_company_daily"
    with (
        duckdb.connect(str(project.settings.warehouse_file)) as writer,
        duckdb.connect(str(project.settings.published_file), read_only=True) as reader,
    ):
        writer.execute("begin")
        writer.execute("delete from marts.mart_company_daily")
        assert reader.execute(query).fetchone() == (2,)
    reader = duckdb.connect(str(project.settings.published_file), read_only=True)
    project.drop("consent_events", "events-2.csv", HEADER + event("b", day(1)))
    # Another process's reader would keep the old file open; here a second name for it stands for that.
    before = project.settings.published_file.stat().st_ino
    reader.close()
    project.settle()
    assert project.settings.published_file.stat().st_ino != before, "swapped, not written in place"
    assert published(project, query) == [(4,)]


def test_a_published_copy_that_was_deleted_is_made_again(project: Project) -> None:
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.settle()
    project.settings.published_file.unlink()
    made = project.settle().outcome.made
    assert {name: len(days) for name, days in made.items()} == {"published_consent": 5}
    assert published(project, "select sum(total_events) from marts.mart_company_daily") == [(2,)]


def test_a_day_that_fails_its_check_is_shown_as_it_last_passed_wherever_people_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy, `sql` and the dashboard hold the same rows, and name the day; other tables and days go on."""
    project = Project(tmp_path / "data", [replace(CONSENT, reports=(COMPANIES,))])
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)) + event("b", day(3)))
    project.settle()
    project.drop(
        "consent_events", "events-2.csv", HEADER + event("c", day(1)) + event("d", day(2)) + event("e", day(3))
    )
    run_dbt = step.run_dbt

    def spoiling(arguments: list[str], *rest: object, **named: object) -> object:
        """The mart is made, gets a wrong figure on two days, and is tested then; later runs are as they should be."""
        if "mart_company_daily" not in arguments:
            return run_dbt(arguments, *rest, **named)  # type: ignore[arg-type]
        monkeypatch.undo()
        chosen = arguments[2 : arguments.index("--indirect-selection")]
        made = run_dbt(["run", "--select", *chosen], *rest, **named)  # type: ignore[arg-type]
        spoil = "update marts.mart_company_daily set total_events = 99 where event_date in (?, ?)"
        with duckdb.connect(str(project.settings.warehouse_file)) as connection:
            connection.execute(spoil, [day(1), day(2)])
        tested = run_dbt(["test", "--select", "adds_up_mart_company_daily_"], *rest, **named)  # type: ignore[arg-type]
        return DbtRun([*made.events, *tested.events], [*made.results, *tested.results])

    monkeypatch.setattr(step, "run_dbt", spoiling)
    runner = project.runner()
    names = {key.path[-1] for key in project.definitions.resolve_asset_graph().get_all_asset_keys()}
    runner.land(names)
    runner.settle(names)
    assert any("adds_up_mart_company_daily_" in failure for failure in runner.outcome.failures), runner.outcome

    query = "select event_date, sum(total_events)::float from marts.mart_company_daily group by 1 order by 1"
    assert published(project, query) == [(day(1), 2), (day(3), 4)], "day 2 never passed"
    others = "select event_date, sum(events)::float from marts.mart_consent_breakdown_daily group by 1 order by 1"
    assert published(project, others) == [(day(1), 4), (day(2), 2), (day(3), 4)]

    frames = read_datasets(warehouse_of(project.settings), COMPANIES, load_manifest(project.settings), project.window)
    shown = frames["mart_company_daily"].group_by("day").agg(pl.col("total_events").sum()).sort("day")
    assert shown.rows() == [(day(1), 2), (day(3), 4)]
    page = newest_export(project.settings, "companies_dashboard", "html").read_text()
    assert f"mart_company_daily: not made yet for 2 days, the newest is {day(2)}; shown is what passed last" in page

    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(project.folder))
    monkeypatch.setenv("ANALYTICS_START_DATE", str(day(0)))
    get_settings.cache_clear()
    asked = [
        CliRunner().invoke(app, ["sql", text]).output for text in (query, others, "from reporting.rpt_companies()")
    ]
    get_settings.cache_clear()
    said = [f"mart_company_daily: up to {day(2)}, 2 days failed" in " ".join(text.split()) for text in asked]
    assert said == [True, False, False]
