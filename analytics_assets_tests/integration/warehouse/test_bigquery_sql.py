"""The SQL that dbt makes of the models for BigQuery: whether BigQuery would take it, and what the unit tests say of it.

There is no BigQuery here. A parser of its dialect says what is no SQL; the rules below, each a refusal of the real one
that no parser knows, say what is. What runs, runs on an emulator with DuckDB inside.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl
import pytest
import sqlglot
from sqlglot import exp

from analytics_assets.dbt.project import load_manifest
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.partitions import Window
from analytics_assets.settings import Settings
from analytics_assets.warehouse.bigquery.api import RAW_SCHEMA, api_of, dataset_of
from analytics_assets.warehouse.bigquery.load_jobs import raw_schema
from analytics_assets_tests.support.emulator import emulating
from analytics_assets_tests.support.inline import SOURCES, settings_on

WINDOW = Window(date(2024, 2, 28), date(2024, 3, 2))

RESERVED = """
    all and any array as asc assert_rows_modified at between by case cast collate contains create cross cube current
    default define desc distinct else end enum escape except exclude exists extract false fetch following for from full
    group grouping groups hash having if ignore in inner intersect interval into is join lateral left like limit lookup
    merge natural new no not null nulls of on or order outer over partition preceding proto qualify range recursive
    respect right rollup rows select set some struct tablesample then to treat true unbounded union unnest using when
    where window with within
"""
"""Words that are no names without quotes: Google's page "Lexical structure and syntax"."""

TYPES = {
    "varchar": "STRING",
    "bigint": "INT64",
    "double": "FLOAT64",
    "decimal(38, 9)": "NUMERIC",
    "boolean": "BOOL",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}
"""The types of contracts, and as what their columns are made."""


@dataclass
class Made:
    """All models, made of no rows.

    Attributes:
        queries: what dbt compiled: of each model its rows, of each test what it objects to.
        statements: what dbt ran for each model.
    """

    settings: Settings
    queries: Mapping[str, str]
    statements: Mapping[str, str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("made")
    with emulating() as emulator:
        settings = settings_on(emulator, folder)
        with api_of(settings).get_client() as client:
            client.create_dataset("analytics_raw")
            for source in SOURCES:
                schema, file = raw_schema(source), folder / "no_rows.parquet"
                pl.DataFrame({column.name: [] for column in schema}).write_parquet(file)
                table = f"a-project.{dataset_of(settings, RAW_SCHEMA)}.raw_{source.name}"
                emulator.load(client, file, table, WINDOW.start, schema, job_id="a-job")
        for arguments in (["seed"], ["run"]):
            assert run_dbt(arguments, settings, SOURCES, WINDOW).failures == {}
        ran = settings.warehouse_dir / "dbt_target" / "run" / "analytics" / "models"
        compiled = run_dbt(["compile"], settings, SOURCES, WINDOW)
        yield Made(
            settings,
            {result.name: result.sql for result in compiled.results if result.sql},  # seeds have none
            {file.stem: file.read_text() for file in ran.rglob("*.sql")},
        )


def parsed(sql: str) -> exp.Expr:
    """A statement of BigQuery.

    Raises:
        sqlglot.errors.SqlglotError: it is none, or has what BigQuery is known to refuse.
    """
    (tree,) = sqlglot.parse(sql, dialect="bigquery")
    assert tree is not None
    assert not isinstance(tree, exp.Command), "not understood"
    tree.sql(dialect="bigquery", unsupported_level=sqlglot.ErrorLevel.RAISE)
    return tree


def without_quotes(tree: exp.Expr) -> Iterator[str]:
    """The names that are written without quotes."""
    for name in tree.find_all(exp.Identifier):
        if not name.quoted:
            yield name.name.lower()


def shadowed(tree: exp.Expr) -> Iterator[str]:
    """Columns that are not the ones that they are elsewhere.

    The name of a table in FROM takes precedence over that of a column, and is the whole row then (ZetaSQL's
    name_scope.h); in GROUP BY and HAVING, a name that the SELECT list gives takes precedence over that of a column
    (Google's page "Query syntax", on aliases).
    """
    for select in tree.find_all(exp.Select):
        sources = [select.args.get("from_"), *select.args.get("joins", [])]
        tables = {
            source.this.alias_or_name.lower()
            for source in sources
            if source and not isinstance(source.this, exp.Unnest)
        }
        given = {
            column.alias.lower()
            for column in select.expressions
            if isinstance(column, exp.Alias) and column.this.name.lower() != column.alias.lower()
        }
        for column in select.find_all(exp.Column):
            if column.table or column.find_ancestor(exp.Select) is not select:
                continue
            if column.name.lower() in tables:
                yield f"{column.name}, a table in FROM"
            if column.name.lower() in given and column.find_ancestor(exp.Group, exp.Having, exp.Select) is not select:
                yield f"{column.name}, a name given in SELECT"


def test_all_models_and_checks_are_looked_at(made: Made) -> None:
    nodes = [
        node
        for node in load_manifest(made.settings).raw["nodes"].values()
        if node["resource_type"] in ("model", "test")
    ]
    assert set(made.queries) == {node["name"] for node in nodes}
    assert set(made.statements) == {node["name"] for node in nodes if node["resource_type"] == "model"}


def test_what_dbt_compiles_and_runs_is_sql_of_bigquery(made: Made) -> None:
    refused = {}
    for name, sql in [*made.queries.items(), *((f"{name}, run", sql) for name, sql in made.statements.items())]:
        try:
            tree = parsed(sql)
        except (sqlglot.errors.SqlglotError, AssertionError) as error:
            refused[name] = str(error)
            continue
        if wrong := {*({*RESERVED.split()} & {*without_quotes(tree)}), *shadowed(tree)}:
            refused[name] = str(wrong)
    assert refused == {}


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select array_agg(x order by x nulls last) from t", "translation not supported for aggregate function"),
        ("select a from t where", "Expected|Required"),
        ("frobnicate the table", "not understood|Invalid"),
    ],
)
def test_what_is_no_sql_of_bigquery_is_told(sql: str, reason: str) -> None:
    with pytest.raises((sqlglot.errors.SqlglotError, AssertionError), match=reason):
        parsed(sql)


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("with t as (select 1 as t, 2 as x) select sum(t) as s, sum(x) as x from t", {"t, a table in FROM"}),
        ("with t as (select 1 as t) select sum(u.t) as s from t as u", set()),
        ("select a, sum(x) as x from t group by a having sum(x) > 1", {"x, a name given in SELECT"}),
        ("select coalesce(a, b) as a from t group by a", {"a, a name given in SELECT"}),
        ("select a as a, sum(x) as x, max(y) as z from t group by a having max(y) > 1", set()),
    ],
)
def test_a_name_that_means_something_else_on_bigquery_is_told(sql: str, names: set[str]) -> None:
    assert set(shadowed(parsed(sql))) == names


def test_a_reserved_word_is_told_where_it_has_no_quotes() -> None:
    assert {*RESERVED.split()} & {*without_quotes(parsed("select x as groups, y as `rows` from t"))} == {"groups"}


def test_tables_are_made_as_their_contracts_say(made: Made) -> None:
    nodes = load_manifest(made.settings).raw["nodes"].values()
    held = [node for node in nodes if node["config"]["materialized"] == "incremental"]
    contracts = [node for node in held if node["config"]["contract"]["enforced"]]
    assert len(contracts) >= 8
    for node in contracts:
        tree = parsed(made.statements[node["name"]])
        columns = {column.name: column for column in tree.find_all(exp.ColumnDef)}
        assert list(columns) == list(node["columns"])
        for name, column in node["columns"].items():
            is_required = {"type": "not_null"}.items() <= {**next(iter(column["constraints"]), {})}.items()
            kind = columns[name].kind
            assert kind and kind.sql(dialect="bigquery") == TYPES[column["data_type"]]
            assert bool(columns[name].find(exp.NotNullColumnConstraint)) == is_required


def test_the_table_function_is_made_with_its_arguments(made: Made) -> None:
    tree = parsed(made.statements["rpt_companies"])
    assert isinstance(tree, exp.Create)
    assert [argument.sql(dialect="bigquery").lower() for argument in tree.this.expressions] == [
        "first_day date",
        "last_day date",
    ]


def test_the_unit_tests_of_the_models_hold_there_too(made: Made) -> None:
    run = run_dbt(["test", "--select", "test_type:unit"], made.settings, SOURCES)
    assert run.failures == {}
    assert len(run.results) == len(load_manifest(made.settings).raw["unit_tests"]) >= 21
