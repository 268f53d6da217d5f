"""What a release is made of: one version, the licence, and linters that run the same way wherever they run."""

import hashlib
import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder
from typer.testing import CliRunner

from analytics_assets import __version__
from analytics_assets.cli.app import app
from analytics_assets.settings import PROJECT_DIR

CHANGES = (PROJECT_DIR / "CHANGELOG.md").read_text()
HOOKS = [
    hook
    for repo in yaml.safe_load((PROJECT_DIR / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repo["hooks"]
]
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
"""SHA-256 of the licence's text as the Apache Software Foundation publishes it."""


def test_metadata_command_and_changelog_tell_one_version() -> None:
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", CHANGES, re.M)
    assert released[0] == __version__
    assert version("analytics-assets") == __version__
    assert CliRunner().invoke(app, ["--version"]).output == f"analytics-assets {__version__}\n"


def test_the_changelog_keeps_its_form() -> None:
    first, *releases = re.findall(r"^## (.*)$", CHANGES, re.M)
    assert first == "[Unreleased]"
    versions = [tuple(map(int, re.match(r"\[(\d+)\.(\d+)\.(\d+)\] - ", release).groups())) for release in releases]
    assert versions == sorted(set(versions), reverse=True)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", CHANGES, re.M)) <= kinds


def test_a_wheel_carries_version_licence_types_and_all_files_of_the_package(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(PROJECT_DIR)).build(directory=str(tmp_path), versions=["standard"])
    with ZipFile(wheel) as held:
        names = set(held.namelist())
        (metadata,) = (held.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
        (licence,) = (held.read(name) for name in names if name.endswith("/licenses/LICENSE"))
    assert f"\nVersion: {__version__}\n" in metadata
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert hashlib.sha256(licence).hexdigest() == APACHE_2
    package = [file for file in (PROJECT_DIR / "analytics_assets").rglob("*") if file.is_file()]
    wanted = {str(file.relative_to(PROJECT_DIR)) for file in package if "__pycache__" not in file.parts}
    assert "analytics_assets/py.typed" in wanted
    assert wanted <= names


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_runs_a_program_of_the_venv(hook: dict[str, str]) -> None:
    assert hook["language"] == "system"
    program = Path(hook["entry"].split()[0])
    assert program.parent == Path(".venv/bin")
    assert (Path(sys.prefix) / "bin" / program.name).is_file()


def test_hooks_run_what_make_lint_runs() -> None:
    recipes = re.findall(r"^lint-\w+:\n((?:\t.*\n)+)", (PROJECT_DIR / "Makefile").read_text(), re.M)
    by_hand = set(re.findall(r"\$\(BIN\)/([\w-]+(?: (?:check|format|lint))?)", "".join(recipes)))
    assert {"ruff check", "ruff format", "mypy", "sqlfluff lint"} <= by_hand
    hooked = {re.match(r"\.venv/bin/([\w-]+(?: (?:check|format|lint))?)", hook["entry"])[1] for hook in HOOKS}
    assert hooked == by_hand


def test_the_workflow_runs_what_everybody_runs_on_a_python_that_is_supported() -> None:
    workflow = yaml.safe_load((PROJECT_DIR / ".github" / "workflows" / "ci.yml").read_text())
    steps = workflow["jobs"]["ci"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    (python,) = (step["with"]["python-version"] for step in steps if "setup-python" in step.get("uses", ""))
    project = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["project"]
    assert f"Programming Language :: Python :: {python}" in project["classifiers"]
