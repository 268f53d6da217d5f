"""Private names of Dagster and dbt stand in one room, and each of them is still there after an upgrade."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest
from dbt.graph import selector_methods

from analytics_assets import dagster_internals
from analytics_assets.settings import PROJECT_DIR

PACKAGE = PROJECT_DIR / "analytics_assets"
HERE = sorted(Path(dagster_internals.__file__).parent.glob("*.py"))
OF_DBT = PACKAGE / "plain_dbt.py"
"""A plugin that dbt itself loads: where people start plain dbt, no Dagster is imported."""


def imported(file: Path) -> list[tuple[str, str]]:
    """The modules and names that a file imports, also within functions; no name where a module is imported as such."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, name.name) for name in node.names]
        elif isinstance(node, ast.Import):
            found += [(name.name, "") for name in node.names]
    return found


def is_private(module: str, name: str) -> bool:
    """Whether neither Dagster nor dbt promises that a name stays; of dbt only its runner is public."""
    if module.split(".")[0] in ("dbt", "dbt_common", "dagster_shared"):
        return True
    if not module.startswith("dagster"):
        return False
    return module.startswith("dagster_dbt.") or any(part.startswith("_") for part in [*module.split("."), name])


PRIVATE = sorted({one for file in (*HERE, OF_DBT) for one in imported(file) if is_private(*one)})


@pytest.mark.parametrize(("module", "name"), PRIVATE, ids=[f"{module}.{name}" for module, name in PRIVATE])
def test_a_private_name_that_the_project_uses_is_still_there(module: str, name: str) -> None:
    try:
        assert hasattr(import_module(module), name) or import_module(f"{module}.{name}")
    except ImportError as error:
        pytest.fail(f"{module}.{name} is gone ({error}): see in dagster_internals/ what it was for")


def test_there_are_private_names_of_both() -> None:
    assert {module.split(".")[0] for module, _ in PRIVATE} >= {"dagster", "dbt"}


def test_no_other_module_imports_a_private_name() -> None:
    found = {
        str(file.relative_to(PACKAGE)): [
            f"{module}.{name}" for module, name in imported(file) if is_private(module, name)
        ]
        for file in PACKAGE.rglob("*.py")
        if file not in (*HERE, OF_DBT)
    }
    assert {file: names for file, names in found.items() if names} == {}


NAMES = ("analytics", "marts", "shop", "mart_orders", "mart", "mart_orders.v2", "shop.mart_orders", "mart_*", "2", "")
FQNS = (["analytics", "marts", "shop", "mart_orders"], ["analytics", "mart"], ["a.marts", "mart_orders", "v2"])


def test_dbt_selects_quickly_what_it_selects() -> None:
    dagster_internals.select_quickly()
    quick = selector_methods.is_selected_node
    stock = inspect.unwrap(quick)
    assert quick is not stock
    cases = [(fqn[start:], name, False) for fqn in FQNS for start in (0, 1) for name in NAMES]
    cases += [(fqn, name, True) for fqn in FQNS for name in NAMES]
    assert [quick(*case) for case in cases] == [stock(*case) for case in cases]
    assert {quick(*case) for case in cases} == {True, False}
