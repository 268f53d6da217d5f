"""The SQL of the macros is linted where it stands compiled: a file of macros holds none that sqlfluff could parse.

`make lint` lints the models as dbt compiles them, with all macros that they call. Tests of data are no files of their
own, so that they are compiled and linted here. What BigQuery alone runs is parsed in test_bigquery_sql.py.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlfluff.core import FluffConfig, Linter

from analytics_assets.dbt.project import load_manifest
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.defs import find_domains
from analytics_assets.partitions import Window
from analytics_assets.settings import PROJECT_DIR
from analytics_assets.spec.model_node import Manifest
from analytics_assets_tests.support.inline import filled_in
from analytics_assets_tests.support.project import YESTERDAY
from analytics_assets_tests.support.project import test_settings as settings_in

WITHOUT_LAYOUT = "layout,ST06,RF04,RF06,AM04"
"""What macros leave between the lines is no matter of style; the other rules are those of `make lint`."""

WHILE_WRITING = {
    "duckdb__create_table_as",
    "duckdb__get_delete_insert_merge_sql",
    "generate_schema_name",
    "default__schema_of_layer",
    "said_of_rows_outside",
    "window_days",
    "without_partition",
    "is_read_by_key",
    "tables_of_changed_keys",
    "create_changed_keys",
    "insert_changed_keys",
    "insert_all_keys",
    "duckdb_changed_keys",
    "duckdb_all_keys_changed",
}
"""Macros that dbt calls while it writes a table, and not in what it compiles: each test that settles runs them."""

INLINE = {
    "newest_delivery": "select k from {{ newest_delivery('given', ['k'], 'delivered_on') }} as found",
    "with_withdrawn": "select k from {{ with_withdrawn('of_window', 'given', ['k'], ['v'], 'delivered_on') }} as found",
}
"""Macros for models of sources that deliver, whether or not a domain has one."""

ALLOWED = {"rows_agree": ("AL04", "RF02")}
"""It reads the days that it is about twice, under one name: a CTE of them would hold all columns of all rows."""

OF_BIGQUERY = {
    "columns_with_own_types",
    "create_partitioned",
    "held_to_window",
    "insert_overwrite",
    "keep_expiration",
    "labels_of",
    "see_that_contract_holds",
    "with_new_columns",
}
"""Those of macros/bigquery.sql that no name tells apart."""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The SQL of one test of each kind: that with the shortest name."""
    settings = settings_in(tmp_path_factory.mktemp("project"))
    chosen: dict[str, str] = {}
    for node in sorted(load_manifest(settings).tests, key=lambda node: len(node.name)):
        metadata = node.raw["test_metadata"] or {}
        if metadata and f"macro.analytics.test_{metadata['name']}" in node.raw["depends_on"]["macros"]:
            chosen.setdefault(metadata["name"], node.name)
    sources = [source for domain in find_domains() for source in domain.sources]
    run = run_dbt(["compile", "--select", *chosen.values()], settings, sources, Window.of_days(YESTERDAY, YESTERDAY))
    found = {result.name: result.sql for result in run.results}
    return {kind: found[name] or "" for kind, name in chosen.items()}


def lint(sql: str) -> list[str]:
    config = FluffConfig.from_path(
        str(PROJECT_DIR), overrides={"templater": "raw", "exclude_rules": WITHOUT_LAYOUT}, ignore_local_config=False
    )
    return [f"{one.rule_code()} {one.desc()}" for one in Linter(config=config).lint_string(sql).get_violations()]


def test_every_kind_of_test_is_sql_without_a_fault(compiled: Mapping[str, str]) -> None:
    assert len(compiled) >= 10
    said = {kind: lint(f"{sql.strip()}\n") for kind, sql in compiled.items()}
    faults = {kind: [one for one in found if not one.startswith(ALLOWED.get(kind, ()))] for kind, found in said.items()}
    assert {kind: found for kind, found in faults.items() if found} == {}


def test_every_macro_for_deliveries_is_sql_without_a_fault(tmp_path: Path) -> None:
    texts = filled_in(list(INLINE.values()), settings_in(tmp_path), Window.of_days(YESTERDAY, YESTERDAY))
    faults = {macro: lint(f"{sql.strip()}\n") for macro, sql in zip(INLINE, texts, strict=True)}
    assert {macro: found for macro, found in faults.items() if found} == {}


def test_a_fault_in_compiled_sql_would_be_found() -> None:
    assert [said[:4] for said in lint("SELECT 1 as one\n")] == ["CP01"]
    assert "PRS" in lint("select from where\n")[0]


def called(manifest: Manifest, kinds: Mapping[str, str]) -> set[str]:
    """The project's macros that stand in what is linted: in a model, or in a test of one of some kinds."""
    own = {name: macro for name, macro in manifest.raw["macros"].items() if macro["package_name"] == "analytics"}
    waiting = [name for node in manifest.models for name in node.raw["depends_on"]["macros"]]
    waiting += [f"macro.analytics.test_{kind}" for kind in kinds]
    waiting.append("macro.analytics.get_where_subquery")  # dbt itself calls it, for each test
    found: set[str] = set()
    while waiting:
        if (name := waiting.pop()) in own and own[name]["name"] not in found:
            found.add(own[name]["name"])
            waiting += own[name]["depends_on"]["macros"]
            waiting += [f"macro.analytics.{where}__{own[name]['name']}" for where in ("default", "duckdb")]
    return found


def test_every_macro_stands_in_something_that_is_linted(compiled: Mapping[str, str], tmp_path: Path) -> None:
    manifest = load_manifest(settings_in(tmp_path))
    names = {macro["name"] for macro in manifest.raw["macros"].values() if macro["package_name"] == "analytics"}
    for_bigquery = {name for name in names if name.startswith("bigquery_") or name.endswith("_bigquery")} | OF_BIGQUERY
    assert names - called(manifest, compiled) - for_bigquery - INLINE.keys() == WHILE_WRITING
