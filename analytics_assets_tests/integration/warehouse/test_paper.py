"""What BigQuery would read, bill and store, on paper: sizes against an oracle, reads against the models' own SQL."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from analytics_assets.cli.app import app
from analytics_assets.dbt.project import load_manifest
from analytics_assets.settings import get_settings
from analytics_assets.warehouse.bigquery.cost_estimate import (
    LOOK_BEYOND,
    MINIMUM,
    Query,
    Read,
    Table,
    as_bytes,
    bytes_billed,
    bytes_read,
    measure,
    paper,
    price_of_query,
    price_of_storage,
    queries_of,
    query_of,
)
from analytics_assets_tests.support.project import DOMAINS, Project, day

MIB = 2**20

REPORTS = [report for domain in DOMAINS for report in domain.reports]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of all domains, five days of which are made."""
    project = Project(tmp_path_factory.mktemp("paper") / "data")
    project.simulate(scale=0.05)
    project.settled()
    return project


@pytest.fixture(scope="module")
def tables(made: Project) -> dict[str, Table]:
    return measure(made.settings, load_manifest(made.settings).raw, made.sources)


@pytest.fixture(scope="module")
def queries(made: Project, tables: dict[str, Table]) -> list[Query]:
    return queries_of(load_manifest(made.settings).raw, made.sources, REPORTS, tables)


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
        assert table.rows == len(rows) > 0
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
    (table,) = measure(project.settings, load_manifest(project.settings).raw, []).values()
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
        measure(project.settings, load_manifest(project.settings).raw, [])


def test_each_table_of_a_query_is_billed_in_whole_mib_and_for_ten_at_least() -> None:
    assert MINIMUM == 10_485_760
    assert bytes_billed([1]) == 10 * MIB
    assert bytes_billed([1, 1]) == 20 * MIB
    assert bytes_billed([10 * MIB + 1, 1]) == 21 * MIB
    assert bytes_billed([]) == 10 * MIB


def test_a_query_reads_its_columns_of_its_days_and_lookups_whole_whatever_the_scale() -> None:
    facts = Table(rows=100, days=10, columns={"day": 800, "name": 500, "note": 9_000})
    lookup = Table(rows=4, days=None, columns={"name": 40})
    tables = {"facts": facts, "mart": Table(20, 10, {"day": 160}), "lookup": lookup}
    reads = [
        Read("mart", frozenset({"day"})),
        Read("facts", frozenset({"day"}), -1, 0),
        Read("facts", frozenset({"name"})),
        Read("lookup", frozenset({"name"})),
    ]
    merge = query_of("mart", "merge", reads)
    assert bytes_read(merge, tables) == [16, 2 * (80 + 50), 40]
    assert bytes_read(merge, tables, scale=100) == [1_600, 200 * (80 + 50), 40]
    found = paper(tables, [merge], scale=100)
    by_name = {line.asset: line for line in found.lines}
    assert by_name["facts"].rows == 1_000
    assert by_name["facts"].stored == 100 * 10_300 / 10
    assert by_name["lookup"].rows == 4
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
    read = reads_of(queries, "int_events_sessionized", "merge")["stg_clickstream_incremental"]
    assert (read.start, read.end) == (-1, 0)
    read = reads_of(queries, "mart_sessions", "merge")["int_events_sessionized"]
    assert (read.start, read.end) == (0, 1)


def test_who_reads_a_view_reads_the_raw_days_under_it_and_lookups_are_read_too(queries: list[Query]) -> None:
    read = reads_of(queries, "stg_campaigns", "merge")
    assert set(read) == {"stg_campaigns", "raw_campaigns", "lookup_currency_rates"}
    assert set(reads_of(queries, "stg_clickstream_incremental", "merge")) == {
        "stg_clickstream_incremental",
        "raw_clickstream",
    }
    assert not [query for query in queries if query.asset == "src_campaigns" and query.what == "merge"]


def test_what_is_handed_on_with_a_star_is_read_though_nobody_names_it() -> None:
    def node(name: str, sql: str, upstream: list[str]) -> dict:
        return {
            "resource_type": "model",
            "package_name": "analytics",
            "unique_id": f"model.{name}",
            "name": name,
            "fqn": ["analytics", "marts", "shop", name],
            "raw_code": sql,
            "columns": {},
            "depends_on": {"nodes": upstream, "macros": ["macro.analytics.rounded"]},
            "config": {"materialized": "incremental", "meta": {"day": "day"}},
        }

    macro = {"package_name": "analytics", "name": "rounded", "macro_sql": "round(amount)", "depends_on": {"macros": []}}
    up, down = node("up", "", []), node("down", "select *, {{ rounded() }} from {{ ref('up') }}", ["model.up"])
    manifest = {"nodes": {"model.up": up, "model.down": down}, "macros": {"macro.analytics.rounded": macro}}
    tables = {
        "up": Table(1, 1, {"day": 8, "name": 5, "amount": 16, "note": 90}),
        "down": Table(1, 1, {"day": 8, "name": 5}),
    }
    read = reads_of(queries_of(manifest, [], [], tables), "down", "merge")["up"]
    assert read.columns == {"day", "name", "amount"}


def test_checks_that_look_back_and_reports_read_all_that_they_look_back_on(queries: list[Query]) -> None:
    read = reads_of(queries, "daily_campaign_summary", "usual_impressions")["daily_campaign_summary"]
    assert (read.start, read.end, read.columns) == (-56, 0, {"date", "daily_impressions"})
    (report,) = (report for report in REPORTS if report.name == "campaigns")
    read = reads_of(queries, "campaigns_dashboard", "core_campaign_performance")["core_campaign_performance"]
    assert read.end - read.start + 1 == report.days


def test_no_other_check_looks_beyond_the_days_that_were_made(made: Project) -> None:
    macros = load_manifest(made.settings).raw["macros"].values()
    tests = {
        m["name"]: m["macro_sql"] for m in macros if m["package_name"] == "analytics" and "{% test" in m["macro_sql"]
    }
    beyond = {name.removeprefix("test_") for name, sql in tests.items() if "tested_node().relation_name" in sql}
    assert beyond == set(LOOK_BEYOND)
    assert "usual_volume(model, column, weeks=8" in tests["test_usual_volume"]
    assert "key_on_one_day(model, key, days=7)" in tests["test_key_on_one_day"]


def compiled(made: Project, query: Query) -> str | None:
    """What dbt made of a model or test; None where the query is neither."""
    nodes = {node["name"]: node for node in load_manifest(made.settings).raw["nodes"].values()}
    node = nodes.get(query.asset if query.what == "merge" else query.what)
    if query.asset not in made.models or node is None:
        return None
    folder = made.settings.warehouse_file.parent / "dbt_target" / "compiled"
    (file,) = folder.rglob(f"{node['alias']}.sql")
    return file.read_text()


def test_a_query_needs_no_other_column_than_those_that_it_reads_on_paper(made: Project, queries: list[Query]) -> None:
    written = {query: sql for query in queries if (sql := compiled(made, query))}
    assert {query.asset for query in written} == set(made.models)
    assert len(written) > 60
    for query, sql in written.items():
        with duckdb.connect() as connection:
            connection.execute(f"attach '{made.settings.warehouse_file}' as there (read_only)")
            connection.execute("attach ':memory:' as analytics")
            connection.execute(f"set file_search_path = '{made.settings.raw_dir}'")
            views = connection.execute("select view_name, sql from duckdb_views() where not internal")
            sql_by_view = dict(views.fetchall())
            for read in query.reads:
                if not read.table.startswith("raw_"):
                    node = made.seed(read.table) if read.table in made.seeds else made.node(read.table)
                    columns = ", ".join(f'"{column}"' for column in read.columns)
                    name = f'{node["schema"]}."{read.table}"'
                    connection.execute(f"create schema if not exists analytics.{node['schema']}")
                    connection.execute(f"create table analytics.{name} as select {columns} from there.{name} limit 0")
            connection.execute("create schema if not exists analytics.staging; use analytics")
            for name in ("src_campaigns", "src_clickstream", "src_companies", "src_consent_events", "stg_clickstream"):
                connection.execute(sql_by_view[name])
            connection.execute(f"explain {sql}")


def test_the_command_says_that_it_is_on_paper_and_what_it_takes(
    made: Project, tables: dict[str, Table], queries: list[Query], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(made.folder))
    get_settings.cache_clear()
    try:
        result = CliRunner().invoke(app, ["bytes", "--scale", "1000000", "--price", "8", "--currency", "EUR"])
    finally:
        get_settings.cache_clear()
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    found = paper(tables, queries, 1_000_000)
    assert "On paper, at 1,000,000 times the volume that there is, and 8 EUR a TiB" in said
    assert f"costs {found.billed / 2**40 * 8:,.2f} EUR" in said
    assert f"{found.billed / 2**40 * 8 * 365:,.2f} EUR" in said
    assert "daily_campaign_summary" in said
