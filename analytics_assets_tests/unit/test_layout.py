"""Where tests stand, and what they may import."""

import ast
from pathlib import Path

from analytics_assets.settings import PROJECT_DIR

TESTS = PROJECT_DIR / "analytics_assets_tests"


def imported(file: Path) -> set[str]:
    """The modules of tests that a file imports, names of what they hold included."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return {name for name in found if name.split(".")[0] == TESTS.name}


def test_tests_and_benchmarks_import_what_they_share_from_support_and_never_from_a_test() -> None:
    files = [*TESTS.rglob("*.py"), *(PROJECT_DIR / "benchmarks").rglob("*.py")]
    found = {str(file.relative_to(PROJECT_DIR)): imported(file) for file in files}
    assert any(found.values())
    assert {
        name: wrong
        for name, modules in found.items()
        if (wrong := {module for module in modules if not module.startswith(f"{TESTS.name}.support")})
    } == {}


def test_each_test_stands_in_a_folder_that_says_what_it_starts_and_below_it_in_a_room_of_the_package() -> None:
    package = PROJECT_DIR / "analytics_assets"
    rooms = {path.stem for path in package.iterdir()}
    for file in TESTS.rglob("test_*.py"):
        kind, *folders, _ = file.relative_to(TESTS).parts
        assert kind in ("unit", "integration", "system"), file
        assert len(folders) < 2 and set(folders) <= rooms, f"{file}: there is no such room"
