"""What BigQuery would read, bill and store, on paper: sizes against an oracle, reads against the models' own SQL."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from analytics_assets.cli.app import app
from analytics_assets.console.words import as_bytes
from analytics_assets.dbt.dry_run import compiled
from analytics_assets.dbt.project import load_manifest
from analytics_assets.partitions import PartitionOffsets, Window, by_day, by_key
from analytics_assets.settings import get_settings
from analytics_assets.spec.model_node import Manifest
from analytics_assets.warehouse.bigquery.cost_estimate import (
    MINIMUM,
    Query,
    bytes_billed,
    bytes_read,
    cost_estimate,
    price_of_query,
    price_of_storage,
    queries_of,
    query_of,
)
from analytics_assets.warehouse.bigquery.query_reads import Read
from analytics_assets.warehouse.bigquery.table_sizes import Table, measure
from analytics_assets_tests.support.project import DOMAINS, Project, day

pytestmark = pytest.mark.models_alone

MIB = 2**20

REPORTS = [report for domain in DOMAINS for report in domain.reports]
ANALYSES = [analysis for domain in DOMAINS for analysis in domain.analyses]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of all domains, five days of which are made."""
    project = Project(tmp_path_factory.mktemp("paper") / "data")
    project.simulate(scale=0.05, commerce=0.5)
    project.settled()
    return project


@pytest.fixture(scope="module")
def tables(made: Project) -> dict[str, Table]:
    return measure(made.settings, load_manifest(made.settings), made.sources)


DAY = day(3)
"""The day that queries are for: the days before and after it are made, too."""


@pytest.fixture(scope="module")
def sql(made: Project) -> dict[str, str]:
    """What dbt compiles of all models and tests, by their unique ids."""
    models = [node.name for node in made.declared.manifest.models]
    run = compiled(models, Window.of_days(DAY, DAY), made.declared)
    return {result.unique_id: result.sql or "" for result in run.results}


@pytest.fixture(scope="module")
def queries(made: Project, tables: dict[str, Table], sql: dict[str, str]) -> list[Query]:
    return queries_of(sql, load_manifest(made.settings), REPORTS, tables, DAY, ANALYSES)


def size(value: object) -> int:
    """Google's page "Data types", one value at a time."""
    match value:
        case None:
            return 0
        case bool():
            return 1
        case Decimal():
            return 16
        case str():
            return 2 + len(value.encode())
        case int() | float() | date():  # a datetime is a date, too
            return 8
    raise TypeError(type(value).__name__)


def rows_of(made: Project, name: str) -> list[dict]:
    if name.startswith("raw_"):
        return made.frame(name).rename({"the_day": "_day"}).to_dicts()
    node = made.seed(name) if name.startswith("lookup_") else made.node(name)
    with duckdb.connect(str(made.settings.warehouse_file), read_only=True) as connection:
        found = connection.execute(f"select * from {node['schema']}.{name}")
        names = [column[0] for column in found.description or []]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_every_column_of_every_table_weighs_what_its_values_do_one_by_one(
    made: Project, tables: dict[str, Table]
) -> None:
    assert {name for name in tables if name.startswith("raw_")} == {f"raw_{s.name}" for s in made.sources}
    assert {*made.seeds, "daily_campaign_summary", "mart_sessions"} < set(tables)
    for name, table in tables.items():
        rows = rows_of(made, name)
        assert table.rows == len(rows)
        if not rows:
            said = "few touches are conversions, and nobody has run a test of lift"
            assert name in {"int_conversions", "attribution_credit", "mart_paths_daily", "lookup_lift_tests"}, said
            continue
        weighed = {column.lower(): sum(size(row[column]) for row in rows) for column in rows[0]}
        assert table.columns == weighed, name


def test_a_text_weighs_its_utf8_and_two_and_a_null_nothing(made: Project, tmp_path: Path) -> None:
    project = Project(tmp_path / "data")
    project.settings.warehouse_file.parent.mkdir(parents=True)
    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.daily_campaign_summary as select * from (values"
            f" (date '{day(0)}', 'é', 1::bigint, 1.5::double, 2::decimal(38, 9), true, timestamp '{day(0)} 12:00:00'),"
            f" (date '{day(0)}', '',  null,      null,        null,              null, null),"
            f" (date '{day(1)}', null, 3,        null,        4,                 false, null)"
            ") t (date, text, whole, ratio, amount, flag, seen_at)"
        )
    (table,) = measure(project.settings, load_manifest(project.settings), []).values()
    assert table.columns == {"date": 24, "text": 4 + 2, "whole": 16, "ratio": 8, "amount": 32, "flag": 2, "seen_at": 8}
    assert (table.rows, table.days, table.rows_a_day) == (3, 2, 1.5)
    assert table.bytes_a_row == (24 + 6 + 16 + 8 + 32 + 2 + 8) / 3


def test_a_type_without_a_known_size_is_an_error_and_not_a_guess(made: Project, tmp_path: Path) -> None:
    project = Project(tmp_path / "data")
    project.settings.warehouse_file.parent.mkdir(parents=True)
    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        connection.execute("create schema marts")
        connection.execute(f"create table marts.daily_campaign_summary as select date '{day(0)}' as date, [1] as list")
    with pytest.raises(TypeError, match="column list is of type INTEGER"):
        measure(project.settings, load_manifest(project.settings), [])


def test_each_table_of_a_query_is_billed_in_whole_mib_and_for_ten_at_least() -> None:
    assert MINIMUM == 10_485_760
    assert bytes_billed([1]) == 10 * MIB
    assert bytes_billed([1, 1]) == 20 * MIB
    assert bytes_billed([10 * MIB + 1, 1]) == 21 * MIB
    assert bytes_billed([]) == 10 * MIB


def test_a_query_reads_its_columns_of_its_days_and_seeds_whole_whatever_the_scale() -> None:
    facts = Table(rows=100, days=10, columns={"day": 800, "name": 500, "note": 9_000})
    seed = Table(rows=4, days=None, columns={"name": 40})
    tables = {"facts": facts, "mart": Table(20, 10, {"day": 160}), "seed": seed}
    reads = [
        Read("mart", frozenset({"day"})),
        Read("facts", frozenset({"day"}), -1, 0),
        Read("facts", frozenset({"name"})),
        Read("seed", frozenset({"name"})),
    ]
    merge = query_of("mart", "merge", reads)
    assert bytes_read(merge, tables) == [16, 2 * (80 + 50), 40]
    assert bytes_read(merge, tables, scale=100) == [1_600, 200 * (80 + 50), 40]
    found = cost_estimate(tables, [merge], scale=100)
    by_name = {line.asset: line for line in found.lines}
    assert by_name["facts"].rows == 1_000
    assert by_name["facts"].stored == 100 * 10_300 / 10
    assert by_name["seed"].rows == 4
    assert found.seeds == 40
    assert found.stored == 100 * (10_300 + 160) / 10
    assert (found.queries, found.read, found.billed) == (1, 1_600 + 26_000 + 40, 30 * MIB)


def test_prices_are_for_tib_and_gib() -> None:
    assert price_of_query(2**40, 6.25) == 6.25
    assert price_of_storage(50 * 2**30, 0.02) == pytest.approx(1.0)
    assert [as_bytes(n) for n in (0, 1023, 1536, 10 * MIB, 2**40)] == [
        "0 B",
        "1,023 B",
        "1.5 KiB",
        "10.0 MiB",
        "1.0 TiB",
    ]


def reads_of(queries: list[Query], asset: str, what: str) -> dict[str, Read]:
    (found,) = (query for query in queries if (query.asset, query.what) == (asset, what))
    return {read.table: read for read in found.reads}


def test_a_merge_reads_the_days_of_its_mapping_what_it_names_of_them_and_the_day_that_it_replaces(
    queries: list[Query], tables: dict[str, Table]
) -> None:
    summary = reads_of(queries, "daily_campaign_summary", "merge")
    assert set(summary) == {"daily_campaign_summary", "core_campaign_performance"}
    assert summary["daily_campaign_summary"].columns == set(tables["daily_campaign_summary"].columns)
    unread = set(tables["core_campaign_performance"].columns) - summary["core_campaign_performance"].columns
    assert unread == {"campaign_id", "campaign_name", "country"}
    assert "region" not in reads_of(queries, "core_campaign_performance", "merge")["stg_campaigns"].columns
    read = reads_of(queries, "int_events_sessionized", "merge")["stg_clickstream_incremental"]
    assert (read.start, read.end) == (-1, 0)
    read = reads_of(queries, "mart_sessions", "merge")["int_events_sessionized"]
    assert (read.start, read.end) == (0, 1)


def test_who_reads_a_view_reads_the_raw_days_under_it_and_seeds_are_read_too(queries: list[Query]) -> None:
    read = reads_of(queries, "stg_campaigns", "merge")
    assert set(read) == {"stg_campaigns", "raw_campaigns", "lookup_currency_rates"}
    assert set(reads_of(queries, "stg_clickstream_incremental", "merge")) == {
        "stg_clickstream_incremental",
        "raw_clickstream",
    }
    assert not [query for query in queries if query.asset == "src_campaigns" and query.what == "merge"]


def test_days_of_a_merge_are_those_of_the_partition_mapping(made: Project, queries: list[Query]) -> None:
    manifest, seen = load_manifest(made.settings), 0
    for query in queries:
        node = manifest.made.get(query.asset)
        if node and query.what == "merge":
            days_of = {one.asset: one.days for one in by_day(node.mappings)}
            keyed = {one.asset: one.days for one in by_key(node.mappings)}
            for read in query.reads:
                upstream = manifest.made.get(read.table)
                if read.table in keyed:  # where a side is open, all days that there are are read
                    start, end = keyed[read.table].start, keyed[read.table].end
                    assert read.start == (1 - len(made.window) if start is None else start)
                    assert read.end == (end or 0)
                elif upstream and upstream.has_days and upstream.unique_id in node.reads:
                    seen += 1
                    assert PartitionOffsets(read.start, read.end) == days_of.get(read.table, PartitionOffsets()), (
                        query,
                        read,
                    )
    assert seen > 5


def read_by(sql: str, tables: dict[str, Table]) -> dict[str, Read]:
    """What the MERGE of a model `down` reads of others by its SQL; `seen` is a view of `up`."""

    def node(name: str, materialized: str) -> dict:
        return {
            "resource_type": "model",
            "unique_id": f"model.{name}",
            "name": name,
            "alias": name,
            "relation_name": f'"analytics"."marts"."{name}"',
            "fqn": ["analytics", "marts", "shop", name],
            "original_file_path": f"models/marts/shop/{name}.sql",
            "config": {"materialized": materialized, "meta": {"day": "day"}},
        }

    nodes = [node("up", "incremental"), node("seen", "view"), node("down", "incremental")]
    manifest = Manifest({"nodes": {one["unique_id"]: one for one in nodes}})
    view = "with up as (select * from analytics.marts.up) select day, name, odd(note) as seen_note from up"
    texts = {"model.down": sql, "model.seen": view, "model.up": "select 1"}
    tables = tables | {"down": Table(1, 1, {"day": 8, "name": 5})}
    return reads_of(queries_of(texts, manifest, [], tables, DAY), "down", "merge")


UP = {"up": Table(90, 9, {"day": 8, "name": 5, "amount": 16, "note": 90})}
THAT_DAY = f"day >= date '{DAY}' and day < date '{day(4)}'"


@pytest.mark.parametrize(
    ("sql", "columns", "days"),
    [
        (f"select *, round(amount) from analytics.marts.up where {THAT_DAY}", "day name amount note", (0, 0)),
        (
            f"with up as (select * from analytics.marts.up where {THAT_DAY}), "
            "more as (select *, round(amount) as rounded, odd(note) as odd from up) select name, rounded from more",
            "day name amount",
            (0, 0),
        ),
        (
            f"select x.name from (select * from analytics.marts.up) as x where x.{THAT_DAY.replace('and ', 'and x.')}",
            "day name",
            (0, 0),
        ),
        (
            f"with a as (select * from analytics.marts.up) select name from a where {THAT_DAY} union all "
            f"select note from a where day >= date '{day(1)}' and day < date '{day(2)}'",
            "day name note",
            (-2, 0),
        ),
        (f"select name from analytics.marts.seen where {THAT_DAY}", "day name", (0, 0)),
        (f"select seen_note from analytics.marts.seen where {THAT_DAY}", "day note", (0, 0)),
        (
            "select 1 from analytics.marts.seen where name in "
            f"(select note from analytics.marts.up where {THAT_DAY} and note > 'x') and {THAT_DAY}",
            "day name note",
            (0, 0),
        ),
        ("select name from analytics.marts.up", "name", (-8, 0)),
        (f"select name from analytics.marts.up where day >= date '{DAY}'", "day name", (-8, 0)),
        (f"select name from analytics.marts.up where {THAT_DAY} or name = 'x'", "day name", (-8, 0)),
    ],
)
def test_columns_and_days_are_found_through_stars_ctes_views_and_subqueries(
    sql: str, columns: str, days: tuple[int, int]
) -> None:
    """Of a table that no filter on its day bounds, all nine days are read."""
    read = read_by(sql, UP)["up"]
    assert (read.columns, (read.start, read.end)) == (frozenset(columns.split()), days)


def test_what_reads_a_table_that_is_not_made_is_left_out() -> None:
    assert read_by("select 1 as day from analytics.marts.down", {}).keys() == {"down"}
    with pytest.raises(ValueError, match="not enough values"):
        read_by("select name from analytics.marts.up", {})


def test_checks_that_look_back_and_reports_read_all_that_they_look_back_on(queries: list[Query]) -> None:
    read = reads_of(queries, "daily_campaign_summary", "usual_impressions")["daily_campaign_summary"]
    assert (read.start, read.end, read.columns) == (-56, 0, {"date", "daily_impressions"})
    (report,) = (report for report in REPORTS if report.name == "campaigns")
    read = reads_of(queries, "campaigns_dashboard", "core_campaign_performance")["core_campaign_performance"]
    assert read.end - read.start + 1 == report.days


def test_an_analysis_reads_the_days_that_it_looks_back_on_also_by_a_table_function(queries: list[Query]) -> None:
    of_analysis = {query.what: query for query in queries if query.asset == "attribution_models_report"}
    assert of_analysis.keys() == {"attribution_daily", "rpt_paths", "lookup_lift_tests"}
    (daily,) = of_analysis["attribution_daily"].reads
    assert (daily.start, daily.end, "credited_revenue_variance" in daily.columns) == (-89, 0, True)
    credit, days = sorted(of_analysis["rpt_paths"].reads, key=lambda read: read.table)
    assert (credit.table, credit.start, credit.end) == ("attribution_credit", -89, 0)
    assert credit.columns == {"conversion_id", "channel", "touch_number", "conversion_date"}
    assert (days.table, days.start, days.end) == ("user_paths_daily", -89, 0)
    assert days.columns == {"user_id", "open_path", "conversions", "touch_date"}


def test_a_report_reads_what_its_views_are_made_of_and_a_key_is_checked_again_with_its_reader(
    queries: list[Query],
) -> None:
    read = reads_of(queries, "marketing_dashboard", "rpt_users")
    assert set(read) == {"int_users", "int_user_daily", "mart_cohort_daily"}
    for asset in ("stg_revenue_and_rewards", "int_revenue"):
        assert set(reads_of(queries, asset, "revenue_has_a_user")) == {"stg_revenue_and_rewards", "stg_users"}


def test_no_other_check_looks_beyond_the_days_that_were_made(made: Project, queries: list[Query]) -> None:
    rules = {test.name: test.rule for test in load_manifest(made.settings).tests}
    own = [(rules[q.what], r) for q in queries if q.what in rules for r in q.reads if r.table == q.asset]
    assert len(own) > 40
    beyond = {(rule, read.start, read.end) for rule, read in own if (read.start, read.end) != (0, 0)}
    assert beyond == {("usual_volume", -56, 0), ("key_on_one_day", -7, 7)}


def text_of(made: Project, query: Query, sql: dict[str, str]) -> str:
    """The SQL of a query, as dbt compiled it; none where it is that of neither a model nor a test."""
    if query.asset not in made.models:
        return ""
    nodes = {node.name: node.unique_id for node in made.declared.manifest.nodes.values() if not node.is_seed}
    return sql.get(nodes.get(query.asset if query.what == "merge" else query.what, ""), "")


RAW_FILES = re.compile(r"read_parquet\('(raw_\w+)/[^)]*\)")


@contextmanager
def empty_warehouse(made: Project) -> Iterator[duckdb.DuckDBPyConnection]:
    """One with the schemas of the project's alone, which is beside it as `there`."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{made.settings.warehouse_file}' as there (read_only)")
        connection.execute(f"set file_search_path = '{made.settings.raw_dir}'")
        connection.execute("attach ':memory:' as analytics; use analytics; create schema raw")
        for schema in {node.schema for node in made.declared.manifest.made.values()}:
            connection.execute(f"create schema {schema}")
        yield connection


def relation_of(made: Project, table: str) -> str:
    node = made.declared.manifest.made[table]
    return f'{node.schema}."{node.alias}"'


def make_views(made: Project, connection: duckdb.DuckDBPyConnection, sql: dict[str, str]) -> None:
    """Makes the views that hold days, those that read others last."""
    views = [node for node in made.declared.manifest.models if node.has_days and not node.holds_rows]
    for node in sorted(views, key=lambda one: sum(name.startswith("model.") for name in one.reads)):
        connection.execute(f"create view {relation_of(made, node.name)} as {sql[node.unique_id]}")


def is_planned(connection: duckdb.DuckDBPyConnection, text: str) -> bool:
    """Whether DuckDB knows all names of a query."""
    try:
        connection.execute(f"explain {text}")
    except duckdb.BinderException:
        return False
    return True


def hold(made: Project, connection: duckdb.DuckDBPyConnection, table: str, columns: frozenset[str]) -> None:
    """Makes a table of these columns, without rows."""
    name, named = relation_of(made, table), [f'"{column}"' for column in columns]
    held = ", ".join([*named, "1 as of_no_use"])
    connection.execute(f"create or replace table {name} as select {held} from there.{name} limit 0")


def test_a_query_needs_the_columns_that_it_reads_on_paper_and_no_others(
    made: Project, queries: list[Query], sql: dict[str, str]
) -> None:
    written = {query: text for query in queries if (text := text_of(made, query, sql))}
    assert {query.asset for query in written} == set(made.models)
    assert len(written) > 60
    for query, text in written.items():
        with empty_warehouse(made) as connection:
            reads = [read for read in query.reads if not read.table.startswith("raw_")]
            for read in reads:
                hold(made, connection, read.table, read.columns)
            make_views(made, connection, sql)
            assert is_planned(connection, text), query
            for read in reads:
                replaced = query.what == "merge" and read.table == query.asset  # whole, whatever the SQL says
                for column in () if replaced else read.columns:
                    hold(made, connection, read.table, read.columns - {column})
                    assert not is_planned(connection, text), (query, column)
                hold(made, connection, read.table, read.columns)


def test_a_model_makes_the_same_rows_from_what_it_reads_on_paper_alone(
    made: Project, queries: list[Query], sql: dict[str, str], tables: dict[str, Table]
) -> None:
    """In all other columns there is nothing, and on all other days there are no rows; raw days are tables for it."""
    on_tables = {name: RAW_FILES.sub(r'raw."\1"', text) for name, text in sql.items()}
    merges = {query: text_of(made, query, on_tables) for query in queries if query.what == "merge"}
    assert len(merges) > 10
    # On paper, a day is the newest one: what is read by key, of all days, is of those up to it.
    until_the_day = {one.asset for node in made.declared.manifest.models for one in by_key(node.mappings)}
    with empty_warehouse(made) as whole:
        for name in tables:
            make_table(made, whole, name, None)
            if name in until_the_day:
                day_column = made.declared.manifest.made[name].day
                whole.execute(f"delete from {relation_of(made, name)} where {day_column} > date '{DAY}'")
        make_views(made, whole, on_tables)
        rows = {query: whole.execute(f"from ({text}) order by all").fetchall() for query, text in merges.items()}
    assert sum(map(bool, rows.values())) > 10
    for query, text in merges.items():
        with empty_warehouse(made) as connection:
            reads = {read.table: read for read in query.reads}
            for name in tables:
                make_table(made, connection, name, reads.get(name, Read(name, frozenset())))
            make_views(made, connection, on_tables)
            assert connection.execute(f"from ({text}) order by all").fetchall() == rows[query], query


def make_table(made: Project, connection: duckdb.DuckDBPyConnection, name: str, read: Read | None) -> None:
    """Copies a table, or what is read of it."""
    node = made.declared.manifest.made.get(name)
    files = f"read_parquet('{name}/*/data.parquet', hive_partitioning = true, union_by_name = true)"
    table, source = (relation_of(made, name), f"there.{relation_of(made, name)}") if node else (f'raw."{name}"', files)
    connection.execute(f"create table {table} as from {source}")
    if read:
        columns = [row[0] for row in connection.execute(f"describe {table}").fetchall()]
        day_column = node.day if node and node.has_days else None if node else "_day"
        if day_column:
            edges = f"date '{DAY}' + {read.start} and date '{DAY}' + {read.end}"
            connection.execute(f"delete from {table} where {day_column} not between {edges}")
        if unread := [f'"{column}" = null' for column in columns if column.lower() not in read.columns]:
            connection.execute(f"update {table} set {', '.join(unread)}")


@pytest.mark.parametrize("command", ["cost-estimate", "bytes"])
def test_the_command_says_that_it_is_on_paper_and_what_it_takes(
    command: str, made: Project, tables: dict[str, Table], queries: list[Query], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(made.folder))
    get_settings.cache_clear()
    try:
        result = CliRunner().invoke(app, [command, "--scale", "1000000", "--price", "8", "--currency", "EUR"])
    finally:
        get_settings.cache_clear()
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    found = cost_estimate(tables, queries, 1_000_000)
    assert "On paper, at 1,000,000 times the volume that there is, and 8 EUR a TiB" in said
    assert f"costs {found.billed / 2**40 * 8:,.2f} EUR" in said
    assert f"{found.billed / 2**40 * 8 * 365:,.2f} EUR" in said
    assert "daily_campaign_summary" in said
