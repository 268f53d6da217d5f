"""The same project on BigQuery, as far as an emulator is one: every model, the five laws, the same rows as on DuckDB.

One folder of data and two warehouses: what lands, lands once, and each warehouse makes what it lacks. The emulator is
DuckDB inside, so that this shows what the project's SQL says as BigQuery's, and not how Google's engine computes.
"""

import re
import shutil
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from analytics_assets.automation.run_grouping import PlannedRun
from analytics_assets.dbt.project import DBT_PROJECT_DIR, load_manifest
from analytics_assets.dbt.runner import _parsed_manifest, run_dbt
from analytics_assets.operations.reconciliation import reconcile
from analytics_assets.partitions import Window, assets_of
from analytics_assets.reports.datasets import read_datasets
from analytics_assets.settings import PROJECT_DIR
from analytics_assets.spec.source import Kind
from analytics_assets.warehouse.choice import warehouse_of
from analytics_assets_tests.support.emulator import BigQueryProject, Emulator, emulating
from analytics_assets_tests.support.emulator_server import REFUSED
from analytics_assets_tests.support.laws import (
    dated_above,
    differing,
    drop_a_change,
    drop_everything_again_but_one_day,
    held_by_key,
    still_has_input,
    tied_to,
)
from analytics_assets_tests.support.project import DOMAINS, WITHOUT_REPORTS, Project, day

pytestmark = pytest.mark.models_alone

FIRST, SOME_DAY, LAST = day(2), day(3), day(4)

Tables = dict[tuple[str, date], list[tuple]]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with emulating() as running:
        yield running


@pytest.fixture(scope="module")
def duck(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Days of everything on DuckDB, and a company that two rows of one file tell different things of."""
    project = Project(tmp_path_factory.mktemp("both") / "data", WITHOUT_REPORTS, {"start_date": FIRST})
    project.simulate(scale=0.3, attribution=1, commerce=3)
    ties = [("tied", "a", "b", "DE"), ("tied", "a", "B", "DE"), ("tied", "", "b", "DE"), ("tied", "ä", "b", "DE")]
    lines = ["PUBLIC_API_KEY,INDUSTRY_BACK,INDUSTRY_FRONT,HQ_COUNTRY", *(",".join(row) for row in ties)]
    project.drop("companies", f"companies-{FIRST}-tied.csv", "\n".join(lines) + "\n")
    project.settle()
    return project


@pytest.fixture(scope="module")
def big(duck: Project, emulator: Emulator) -> BigQueryProject:
    """The same folder with BigQuery as its warehouse."""
    project = BigQueryProject(duck.folder, WITHOUT_REPORTS, {"start_date": FIRST}, emulator=emulator)
    project.settle()
    return project


def plain(value: Any) -> Any:
    """A value as both warehouses give it: times in UTC without saying so, amounts without zeros at their end."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return value.normalize() if isinstance(value, Decimal) else value


def tables(project: Project, only: Collection[str] | None = None) -> Tables:
    """All rows of every model with days, or of some, by model and day."""
    found: Tables = {}
    with warehouse_of(project.settings).reading() as reader:  # to open one takes as long as to read
        frames = {model: project.frame(model, reader) for model in project.models if only is None or model in only}
    for model, frame in frames.items():
        names = sorted(set(frame.columns) - {"the_day"})
        rows = frame.select(names).rows()
        for row, at in zip(rows, frame["the_day"].to_list(), strict=True):
            found.setdefault((model, at), []).append((*names, *map(plain, row)))
    return {where: sorted(rows, key=str) for where, rows in found.items()}


# ------------------------------------------------------------------------------------------------ the same rows


def test_every_model_has_the_same_rows_as_on_duckdb(duck: Project, big: BigQueryProject) -> None:
    assert big.models == duck.models
    assert sorted(set(big.views) - set(duck.views)) == []
    expected, found = tables(duck), tables(big)
    assert {model for model, _ in expected} == set(duck.models), "a model without a row shows nothing"
    assert differing(expected, found) == {}


def test_types_are_those_of_the_contracts(big: BigQueryProject) -> None:
    """A whole number that is a fraction in one of the two would be equal to it in Python."""
    kinds = {"bigint": int, "double": float, "decimal(38, 9)": Decimal, "varchar": str, "boolean": bool, "date": date}
    kinds |= {"timestamp": datetime}
    for model in big.models:
        node = big.node(model)
        if node["config"]["contract"]["enforced"]:
            for column, values in big.frame(model).to_dict(as_series=False).items():
                if column in node["columns"]:
                    expected = kinds[node["columns"][column]["data_type"]]
                    assert {type(value) for value in values if value is not None} <= {expected}, (model, column)


@pytest.mark.parametrize(
    "report", [report for domain in DOMAINS for report in domain.reports], ids=lambda report: report.name
)
def test_reports_read_the_same_figures(duck: Project, big: BigQueryProject, report: Any) -> None:
    expected, found = (
        read_datasets(warehouse_of(one.settings), report, load_manifest(one.settings), duck.window)
        for one in (duck, big)
    )
    assert expected.keys() == found.keys()
    for model, frame in expected.items():
        if report.dataset(model).is_analysis:
            continue  # it is read from a file, which is made of what these reports read
        assert frame.height > 0
        assert frame.equals(found[model].cast(dict(frame.schema))), model


def test_the_query_of_the_table_function_has_the_same_rows(duck: Project, big: BigQueryProject) -> None:
    """The emulator knows no functions: the query is run with days in the place of its arguments."""
    first, last = FIRST, SOME_DAY
    compiled = run_dbt(["compile", "--select", "rpt_companies"], big.settings, big.sources).results[0].sql or ""
    query = re.sub(r"\bfirst_day\b", f"date '{first}'", compiled)
    query = re.sub(r"\blast_day\b", f"date '{last}'", query)
    assert query != compiled
    node = duck.node("rpt_companies")
    call = f"select * from {node['relation_name']}(date '{first}', date '{last}')"
    found = []
    for project, sql in ((duck, call), (big, query)):
        with warehouse_of(project.settings).reading() as reader:
            rows = reader.rows(sql)
        found.append(sorted([tuple(map(plain, row)) for row in rows.rows], key=str))
        assert len(rows.rows) > 1
    assert found[0] == found[1]


def test_views_and_seeds_have_the_same_rows(duck: Project, big: BigQueryProject) -> None:
    assert big.seeds == duck.seeds
    for name in ("rpt_sessions", *duck.seeds):
        rows = []
        for project in (duck, big):
            node = project.seed(name) if name in duck.seeds else project.node(name)
            with warehouse_of(project.settings).reading() as reader:
                found = reader.rows(f"select * from {node['relation_name']}")
            rows.append((list(found.names), sorted([tuple(map(plain, row)) for row in found.rows], key=str)))
        assert rows[0] == rows[1]
        assert rows[0][1] or name == "lookup_lift_tests", "nobody has run a test of lift"


# ------------------------------------------------------------------------------------------------ the five laws


def test_law_1_again_a_day_that_is_made_again_has_the_same_rows(big: BigQueryProject) -> None:
    before = tables(big)
    runner = big.runner()
    runner.make([PlannedRun(tuple(big.models), Window.of_days(SOME_DAY, SOME_DAY))])
    assert runner.outcome.failures == []
    assert runner.outcome.made.keys() == set(big.models)
    assert differing(before, tables(big)) == {}


@pytest.mark.proof  # what orders the days is the engine, which test_laws.py tests
def test_law_3_any_order_a_day_at_a_time_and_backwards_has_the_same_rows(
    big: BigQueryProject, emulator: Emulator, tmp_path: Path
) -> None:
    """Of a chain of each domain: all that the marts named here are made from."""
    shutil.copytree(big.settings.lake_dir, tmp_path / "data" / "lake")
    changes = {"start_date": FIRST}
    other = BigQueryProject(tmp_path / "data", WITHOUT_REPORTS, changes, emulator=emulator, dataset="backwards")
    chain = {"mart_company_daily", "mart_sessions", "daily_campaign_summary"}
    for asset in reversed(other.assets):
        chain |= assets_of(other.upstream[asset]) if asset in chain else set()
    for at in (LAST, SOME_DAY):  # and what is left, the automation makes
        runner = other.runner()
        runner.make([PlannedRun(tuple(asset for asset in other.assets if asset in chain), Window.of_days(at, at))])
        assert not [failure for failure in runner.outcome.failures if not failure.startswith("check ")]
    other.runner().settle(chain)
    expected = {where: rows for where, rows in tables(big).items() if where[0] in chain}
    assert {model for model, _ in expected} == {asset for asset in chain if not asset.startswith("raw_")}
    assert differing(expected, tables(other, chain)) == {}


def test_law_4_window_true_a_late_row_changes_exactly_the_days_that_hang_on_it(
    duck: Project, big: BigQueryProject
) -> None:
    """Of each domain at once: a late row in a file of facts."""
    before, by_key = tables(big), held_by_key(big)
    names = ("consent_events", "clickstream", "campaigns")
    sources = [next(source for source in big.sources if source.name == name) for name in names]
    raw_days = {source.name: drop_a_change(big, source, SOME_DAY)[1] for source in sources}
    made = {asset: set(days) for asset, days in big.settle().outcome.made.items()}
    expected: dict[str, set[date]] = {}
    for name, its_days in raw_days.items():
        for asset, days in tied_to(big, f"raw_{name}", its_days, by_key).items():
            expected[asset] = expected.get(asset, set()) | days
    assert made == expected
    changed = differing(before, after := tables(big))
    assert {"stg_consent_events", "mart_sessions", "daily_campaign_summary"} <= changed.keys()
    assert all(days <= expected[asset] for asset, days in changed.items())
    assert big.requested() == {}
    duck.settle()
    assert differing(tables(duck), after) == {}


def test_law_5_nothing_lost_every_row_is_somewhere_and_a_lost_one_is_named(big: BigQueryProject) -> None:
    for source in big.sources:
        found = reconcile(source, big.declared, datetime.now(UTC))
        assert found.faults == []
        assert found.stg > 0
    for model in ("mart_company_daily", "mart_sessions", "daily_campaign_summary"):
        node = big.node(model)
        name, at = node["relation_name"], node["config"]["meta"]["day"]
        kept = f"{big.dataset}_marts.kept"
        with big.client() as client:
            client.query_and_wait(f"create table {kept} as select * from {name}")
            rows_of_others = f"select * from {kept} where {at} != date '{SOME_DAY}'"
            client.query_and_wait(f"create or replace table {name} as {rows_of_others}")
        run = run_dbt(["test", "--select", f"adds_up_{model}_"], big.settings, big.sources, big.window)
        assert list(run.failures) == [f"adds_up_{model}_"]
        with warehouse_of(big.settings).reading() as reader:
            rows = reader.rows(run.failing_tests[f"adds_up_{model}_"])
        assert [row["the_day"] for row in rows.sorted] == [SOME_DAY]
        with big.client() as client:
            client.query_and_wait(f"create or replace table {name} as select * from {kept}")
            client.query_and_wait(f"drop table {kept}")


def test_law_2_replaced_a_day_whose_input_has_become_empty_ends_up_empty(duck: Project, big: BigQueryProject) -> None:
    before = tables(big)
    for source in big.sources:
        if source.kind is not Kind.SNAPSHOT:
            drop_everything_again_but_one_day(duck, source, SOME_DAY)
    big.settle()
    after = tables(big)
    emptied = [model for model in big.models if dated_above(big, model)]
    left = {model for model in emptied if (model, SOME_DAY) in after}
    assert left == {model for model in left if still_has_input(big, model, SOME_DAY, after)}
    assert all((model, FIRST) in after for model in emptied if (model, FIRST) in before)
    assert len([model for model in emptied if (model, SOME_DAY) in before]) > 0.9 * len(emptied)
    duck.settle()
    assert differing(tables(duck), after) == {}


# ------------------------------------------------------------------------------------------- what a table is made of


def test_a_column_that_is_new_in_a_model_is_added_with_nulls_in_the_days_that_are_there(
    big: BigQueryProject, emulator: Emulator
) -> None:
    node = big.node("mart_session_quality")
    table, at = node["relation_name"], node["config"]["meta"]["day"]
    before = tables(big)
    with big.client() as client:
        client.query_and_wait(f"create table {big.dataset}_marts.kept as select * except (sessions) from {table}")
        client.query_and_wait(f"create or replace table {table} as select * from {big.dataset}_marts.kept")
        client.query_and_wait(f"drop table {big.dataset}_marts.kept")
    runner = big.runner()
    runner.make([PlannedRun(("mart_session_quality",), Window.of_days(LAST, LAST))])
    assert runner.outcome.failures == []
    with warehouse_of(big.settings).reading() as reader:
        found = dict(reader.rows(f"select {at}, sessions from {table}").rows)
    assert found[LAST] is not None
    assert [found[at] for at in found if at != LAST] == [None] * (len(found) - 1)
    runner = big.runner()
    runner.make([PlannedRun(("mart_session_quality",), big.window)])
    assert differing(before, tables(big)) == {}


def test_a_table_that_somebody_dropped_is_made_again_with_all_its_days(big: BigQueryProject) -> None:
    before = tables(big)
    node = big.node("daily_campaign_summary")
    with big.client() as client:
        client.delete_table(f"a-project.{node['schema']}.{node['alias']}")
    runner = big.settle()
    assert runner.outcome.made == {"daily_campaign_summary": runner.outcome.made["daily_campaign_summary"]}
    assert set(runner.outcome.made["daily_campaign_summary"]) == set(big.window.days())
    assert differing(before, tables(big)) == {}


def test_a_run_that_would_break_a_contract_fails_though_the_table_is_there(
    big: BigQueryProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tables(big)
    node = _parsed_manifest(big.settings).nodes["model.analytics.mart_session_quality"]
    with monkeypatch.context() as patch:
        patch.delitem(node.columns, "late_share")
        runner = big.runner()
        runner.make([PlannedRun(("mart_session_quality",), Window.of_days(LAST, LAST))])
        (failure,) = [failure for failure in runner.outcome.failures if "contract" in failure]
        assert "late_share" in failure and "missing in contract" in failure
    assert differing(before, tables(big)) == {}
    big.settle()


def test_tables_are_partitioned_clustered_labelled_and_described(big: BigQueryProject, emulator: Emulator) -> None:
    """By the statements that make them: the emulator keeps nothing of it but descriptions."""
    for model in big.models:
        node = big.node(model)
        kind = "table" if node["config"]["materialized"] == "incremental" else "view"
        made = " ".join(emulator.statements(f"{kind} {node['relation_name']}\n")[0].split())
        assert f"labels=[('layer', '{node['fqn'][1]}'), ('domain', '{node['fqn'][2]}')]" in made, model
        assert node["description"].strip() in made.replace("\\n", "\n"), model
        said = {field["name"]: field["description"] for field in emulator.patched(model)["schema"]["fields"]}
        assert said == {name: column["description"] for name, column in node["columns"].items()}, model
        if kind == "table":
            assert f"partition by `{node['config']['meta']['day']}`" in made
            clusters = node["config"].get("cluster_by")
            assert not clusters or f"cluster by {', '.join(clusters)}" in made
            assert ("require_partition_filter=True" in made) == bool(node["config"].get("require_partition_filter"))


def test_every_statement_of_a_run_names_the_days_of_tables_that_are_refused_without(
    big: BigQueryProject, emulator: Emulator
) -> None:
    """The emulator would run it without; BigQuery would not."""
    days = {
        node["alias"]: node["config"]["meta"]["day"]
        for node in map(big.node, big.models)
        if node["config"].get("require_partition_filter") and node["config"]["materialized"] == "incremental"
    }
    assert {"stg_campaigns", "int_events_sessionized", "daily_campaign_summary"} <= days.keys()
    seen = set()
    for sql in emulator.statements('"app": "dbt"'):
        for table in sqlglot.parse_one(sql, dialect="bigquery").find_all(exp.Table):
            query = table.find_ancestor(exp.Select, exp.Merge)
            if table.name in days and query is not None:
                said = query.args["where"] if isinstance(query, exp.Select) else query.args["whens"]
                assert said is not None and is_held_against_a_literal(said, days[table.name]), sql
                seen.add(table.name)
    assert seen == days.keys()


def is_held_against_a_literal(condition: exp.Expression, column: str) -> bool:
    """Whether a condition compares a column with what is known before the query runs."""
    compared = condition.find_all(exp.GTE, exp.EQ, exp.Between, exp.In)
    return any({found.name for found in one.find_all(exp.Column)} == {column} for one in compared)


def test_partitions_expire_as_the_settings_say_then_and_now(emulator: Emulator, big: BigQueryProject) -> None:
    """A new table has it from the beginning, an old one gets it with its next days."""
    places = {"partition_expiration_days": 400}
    changed = BigQueryProject(big.folder, WITHOUT_REPORTS, big.changes, emulator=emulator, places=places)
    runner = changed.runner()
    runner.make([PlannedRun(("daily_campaign_summary",), Window.of_days(LAST, LAST))])
    altered = emulator.statements("set options (partition_expiration_days = 400)")
    assert [sql for sql in altered if "daily_campaign_summary" in sql]


# ------------------------------------------------------------------------------------------------- what is refused


def test_what_the_emulator_refuses_is_a_statement_of_bigquery(big: BigQueryProject, emulator: Emulator) -> None:
    """And each line of the list is needed, and told in the docs."""
    page = (PROJECT_DIR / "docs" / "bigquery.md").read_text()
    for refused in REFUSED:
        statements = emulator.changed(refused.pattern)
        assert statements, f"nothing is changed any more for {refused.statement}"
        for sql in statements:
            assert sqlglot.parse_one(sql, dialect="bigquery") is not None
        assert f"| {refused.statement} | {refused.reason} |" in page


# --------------------------------------------------------------------------------------------------- how it is said


def test_a_developer_writes_to_a_dataset_of_their_own(big: BigQueryProject, emulator: Emulator) -> None:
    changes = {**big.changes, "dbt_target": "dev", "user": "ann"}
    own = BigQueryProject(big.folder, WITHOUT_REPORTS, changes, emulator=emulator)
    nodes = load_manifest(own.settings).raw["nodes"].values()
    datasets = {(node["database"], node["schema"]) for node in nodes if node["resource_type"] in ("model", "seed")}
    assert datasets == {("a-project", "dbt_ann")}
    assert own.settings.warehouse_dir.name == "a-project.dbt_ann.EU.emulator"
    runner = own.runner()
    chain = ("raw_campaigns", "src_campaigns", "stg_campaigns", "core_campaign_performance", "daily_campaign_summary")
    said = len(emulator.statements(""))
    runner.make([PlannedRun(chain, big.window)])
    assert runner.outcome.failures == []
    assert tables(own, chain[1:]) == tables(big, chain[1:])
    written = [re.findall(r"(?:into|table|view) `a-project`\.`(\w+)`", sql) for sql in emulator.statements("")[said:]]
    assert {dataset for datasets in written for dataset in datasets} == {"dbt_ann"}
    with big.client() as client:
        assert client.get_table("a-project.dbt_ann.raw_campaigns").num_rows
    assert big.requested() == {}


def test_in_production_a_layer_is_a_dataset_and_raw_tables_keep_the_names_of_their_assets(big: BigQueryProject) -> None:
    schemas = {big.node(model)["fqn"][1]: big.node(model)["schema"] for model in [*big.models, *big.views]}
    assert schemas == {layer: f"analytics_{layer}" for layer in ("staging", "intermediate", "marts", "reporting")}
    with big.client() as client:
        assert client.get_table("a-project.analytics_raw.raw_campaigns").num_rows


def test_no_model_asks_which_warehouse_it_is_on() -> None:
    models = list((DBT_PROJECT_DIR / "models").rglob("*.sql"))
    assert len(models) > 20
    assert [file.name for file in models if re.search(r"\btarget\b|adapter\.(type|dispatch)", file.read_text())] == []
