"""The code location as a whole: it loads, and a change of its graph is seen in review."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from analytics_assets.dbt.project import prepare_manifest
from analytics_assets.settings import PROJECT_DIR
from analytics_assets_tests.support.graph import graph_of
from analytics_assets_tests.support.models_alone import make_models_alone
from analytics_assets_tests.support.project import DOMAINS, Project, test_settings


def test_the_code_location_loads_in_a_fresh_interpreter_and_says_how_long_it_took(
    record_property: Callable[[str, object], None], tmp_path: Path
) -> None:
    prepare_manifest(test_settings(tmp_path))  # whoever comes first parses the dbt project, by dbt
    code = (
        "import time; t = time.perf_counter(); import analytics_assets.definitions as d, sys;"
        "d.defs.resolve_all_asset_specs(); print(time.perf_counter() - t);"
        "assert not {'dbt.cli', 'gspread', 'alembic'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    record_property("seconds_to_load", float(done.stdout))


def test_definitions_py_stays_one_screen() -> None:
    assert len((PROJECT_DIR / "analytics_assets" / "definitions.py").read_text().splitlines()) <= 55


def test_the_shared_rooms_know_no_domain() -> None:
    package = PROJECT_DIR / "analytics_assets"
    files = [
        file for file in package.rglob("*.*") if file.suffix != ".pyc" and not file.is_relative_to(package / "defs")
    ]
    assert files
    # A word that anybody may take for a domain, as orders, may stand in an example; those of the demo may not.
    words = [rf"\b{domain.name}\b|{domain.name}_|_{domain.name}" for domain in DOMAINS if domain.is_demo]
    names = re.compile("|".join([*words, *(rf"\bdefs\.{domain.name}\b" for domain in DOMAINS)]), re.I)
    assert {str(file.relative_to(package)): found for file in files if (found := names.findall(file.read_text()))} == {
        "cli/materialize.py": ["consent"]  # an example, in the help
    }


def test_the_asset_graph_is_the_one_that_was_last_agreed_on(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    """After a change that is meant: run this test with `--snapshot-update`, and look at the diff."""
    assert graph_of(Project(tmp_path, DOMAINS)) == snapshot(extension_class=JSONSnapshotExtension)


def undescribed(project: Project, view: str) -> list[str]:
    """The columns of a view of the warehouse that its yml does not describe."""
    node = project.node(view)
    with duckdb.connect(str(project.settings.warehouse_file), read_only=True) as connection:
        found = connection.execute(f"describe from {node['schema']}.{view}").fetchall()
    return [name for name, *_ in found if not node["columns"].get(name, {}).get("description")]


def test_every_asset_and_column_is_described(everything: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    make_models_alone(monkeypatch)
    everything.simulate(attribution=1)  # the template of the laws
    everything.settled()
    graph = everything.definitions.resolve_asset_graph()
    lacking = [key.path[-1] for key in graph.get_all_asset_keys() if not graph.get(key).description]
    for asset in everything.models:
        described = {name for name, column in everything.node(asset)["columns"].items() if column["description"]}
        lacking += [
            f"{asset}.{name}" for name in everything.frame(asset).columns if name not in described | {"the_day"}
        ]
    own = [view for view in everything.views if everything.node(view)["config"]["access"] != "public"]
    lacking += [f"{view}: {name}" for view in own for name in undescribed(everything, view)]
    with duckdb.connect(str(everything.settings.published_file), read_only=True) as connection:
        for view in set(everything.views) - set(own):
            node = everything.node(view)
            arguments = ", ".join(f"null::{type}" for type in node["config"].get("parameters", {}).values())
            called = f"{view}({arguments})" if node["config"]["materialized"] == "table_function" else view
            found = connection.execute(f"describe from {node['schema']}.{called}").fetchall()
            described = {name: column["data_type"] for name, column in node["columns"].items() if column["description"]}
            assert {name: type.replace(",", ", ").lower() for name, type, *_ in found} == described
    with duckdb.connect(str(everything.settings.warehouse_file), read_only=True) as connection:
        for seed in everything.seeds:
            node = everything.seed(seed)
            found = connection.execute(f"describe from {node['schema']}.{seed}").fetchall()
            lacking += [f"{seed}.{name}" for name, *_ in found if not node["columns"][name]["description"]]
    assert lacking == []
