"""The code location as a whole: it loads, and a change of its graph is seen in review."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb

from analytics_assets.settings import PROJECT_DIR
from analytics_assets_tests.support.graph import graph_of
from analytics_assets_tests.support.project import DOMAINS, Project

SNAPSHOT = Path(__file__).with_name("asset_graph.json")


def test_the_code_location_loads_in_a_fresh_interpreter_and_says_how_long_it_took(
    record_property: Callable[[str, object], None],
) -> None:
    code = (
        "import time; t = time.perf_counter(); import analytics_assets.definitions as d, sys;"
        "d.defs.resolve_all_asset_specs(); print(time.perf_counter() - t); assert 'dbt.cli' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    record_property("seconds_to_load", float(done.stdout))


def test_definitions_py_stays_one_screen() -> None:
    assert len((PROJECT_DIR / "analytics_assets" / "definitions.py").read_text().splitlines()) <= 55


def test_the_shared_rooms_know_no_domain() -> None:
    package = PROJECT_DIR / "analytics_assets"
    names = [domain.name for domain in DOMAINS]
    rooms = [package / room for room in ("ingest", "warehouse", "reports", "operate", "simulate")]
    files = [*package.glob("*.py"), *(file for room in rooms for file in room.rglob("*.*") if file.suffix != ".pyc")]
    knowing = [
        file.name
        for file in files
        if file.name not in ("definitions.py", "cli.py") and any(f"{name}" in file.read_text() for name in names)
    ]
    assert knowing == []


def test_the_asset_graph_is_the_one_that_was_last_agreed_on(tmp_path: Path) -> None:
    """After a change that is meant: `python -m analytics_assets_tests.test_definitions`, and look at the diff."""
    assert graph_of(Project(tmp_path, DOMAINS)) == json.loads(SNAPSHOT.read_text())


def test_every_asset_and_column_is_described(everything: Project) -> None:
    everything.settle()
    graph = everything.definitions.resolve_asset_graph()
    lacking = [key.path[-1] for key in graph.get_all_asset_keys() if not graph.get(key).description]
    for asset in everything.models:
        described = {name for name, column in everything.node(asset)["columns"].items() if column["description"]}
        lacking += [
            f"{asset}.{name}" for name in everything.frame(asset).columns if name not in described | {"the_day"}
        ]
    with duckdb.connect(str(everything.settings.published_file), read_only=True) as connection:
        for view in everything.views:
            node = everything.node(view)
            arguments = ", ".join(f"null::{type}" for type in node["config"].get("parameters", {}).values())
            called = f"{view}({arguments})" if node["config"]["materialized"] == "table_function" else view
            found = connection.execute(f"describe from {node['schema']}.{called}").fetchall()
            described = {name: column["data_type"] for name, column in node["columns"].items() if column["description"]}
            assert {name: type.replace(",", ", ").lower() for name, type, *_ in found} == described
    with duckdb.connect(str(everything.settings.warehouse_file), read_only=True) as connection:
        for lookup in everything.lookups:
            node = everything.lookup(lookup)
            found = connection.execute(f"describe from {node['schema']}.{lookup}").fetchall()
            lacking += [f"{lookup}.{name}" for name, *_ in found if not node["columns"][name]["description"]]
    assert lacking == []
