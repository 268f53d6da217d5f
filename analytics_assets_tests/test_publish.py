"""The published copy: whole, of the changed days only, and readable while it is replaced."""

import duckdb

from analytics_assets.partitions import Window
from analytics_assets.warehouse.publish import publish, publish_views
from analytics_assets_tests.conftest import Project, day
from analytics_assets_tests.test_automation import HEADER, event

MART = {
    "name": "mart",
    "schema": "marts",
    "alias": "mart",
    "config": {"materialized": "incremental", "meta": {"day": "the_day"}},
}
VIEW = {"name": "rpt", "schema": "reporting", "alias": "rpt", "config": {"materialized": "view", "meta": {}}}
FUNCTION = {**VIEW, "config": {"materialized": "table_function", "meta": {}}}


def fill(project: Project, *statements: str) -> None:
    project.settings.warehouse_file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        for statement in statements:
            connection.execute(statement)


def published(project: Project, query: str) -> list[tuple]:
    with duckdb.connect(str(project.settings.published_file), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_only_the_days_of_the_window_are_copied_and_a_day_that_became_empty_is_emptied(project: Project) -> None:
    fill(
        project,
        "create schema marts",
        f"create table marts.mart as select date '{day(0)}' + n::int as the_day, n from range(5) t (n)",
    )
    publish(project.settings, [MART], Window.of_days(day(1), day(2)))
    assert published(project, "select n from marts.mart order by n") == [(1,), (2,)]
    fill(project, "delete from marts.mart where n = 1", "update marts.mart set n = n + 10")
    publish(project.settings, [MART], Window.of_days(day(1), day(1)))
    assert published(project, "select n from marts.mart order by n") == [(2,)]


def test_a_column_that_was_added_comes_with_all_days(project: Project) -> None:
    fill(
        project,
        "create schema marts",
        f"create table marts.mart as select date '{day(0)}' + n::int as the_day, n from range(5) t (n)",
    )
    publish(project.settings, [MART], project.window)
    fill(project, "alter table marts.mart add column more text default 'x'")
    publish(project.settings, [MART], Window.of_days(day(4), day(4)))
    assert published(project, "select count(*), count(more) from marts.mart") == [(5, 5)]


def test_a_view_over_marts_answers_from_the_copy(project: Project) -> None:
    fill(
        project,
        "create schema marts",
        "create schema reporting",
        f"create table marts.mart as select date '{day(0)}' as the_day, 1 as n",
        'create view reporting.rpt as select sum(n) as n from "analytics"."marts"."mart"',
    )
    publish(project.settings, [MART, VIEW], project.window)
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
    publish(project.settings, [MART, FUNCTION], project.window)
    assert published(project, f"select n from reporting.rpt(date '{day(2)}', date '{day(4)}')") == [(9,)]


def test_a_view_whose_table_or_column_the_copy_lacks_holds_up_nothing_and_comes_with_them(project: Project) -> None:
    other = {**MART, "name": "other", "alias": "other"}
    fill(
        project,
        "create schema marts",
        "create schema reporting",
        f"create table marts.mart as select date '{day(0)}' as the_day, 1 as n",
        f"create table marts.other as select date '{day(0)}' as the_day, 1 as n",
        'create view reporting.rpt as select max(n) as n from "analytics"."marts"."other"',
    )
    publish_views(project.settings, [VIEW])
    assert not project.settings.published_file.exists(), "without a day there is no copy"
    publish(project.settings, [MART, VIEW], project.window)
    publish_views(project.settings, [VIEW])
    assert published(project, "select n from marts.mart") == [(1,)]
    publish(project.settings, [MART, other, VIEW], project.window)
    assert published(project, "select n from reporting.rpt") == [(1,)]

    fill(
        project,
        "alter table marts.other add column more int default 7",
        'create or replace view reporting.rpt as select max(more) as n from "analytics"."marts"."other"',
    )
    publish_views(project.settings, [VIEW])
    assert published(project, "select n from reporting.rpt") == [(1,)], "the old one stays until the column comes"
    publish(project.settings, [MART, other, VIEW], Window.of_days(day(1), day(1)))
    assert published(project, "select n from reporting.rpt") == [(7,)]


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
