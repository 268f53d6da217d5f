"""What each model takes, of a project that is settled."""

import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from dagster import DagsterInstance
from typer.testing import CliRunner

from analytics_assets.cli import profile
from analytics_assets.operations import home
from analytics_assets.operations.model_profile import Profile, profiles
from analytics_assets.partitions import Window
from analytics_assets_tests.support.project import ALL_OF_ONE, YESTERDAY, Project

pytestmark = pytest.mark.models_alone


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Five days of one domain, settled."""
    project = Project(tmp_path / "data", ALL_OF_ONE)
    project.simulate(0.02)
    project.settled()
    return project


def found(project: Project) -> dict[str, Profile]:
    names = [node.name for node in project.declared.manifest.models if node.domain == "consent"]
    listed = profiles(project.declared, project.instance, names)
    assert [one.seconds or 0 for one in listed] == sorted((one.seconds or 0 for one in listed), reverse=True)
    assert {one.model for one in listed} == set(names)
    return {one.model: one for one in listed}


def test_rows_and_bytes_are_those_that_the_tables_hold(project: Project) -> None:
    of = found(project)
    for model in ("src_consent_events", "stg_consent_events", "mart_consent_daily"):
        assert of[model].rows == project.frame(model).height > 0
        assert (of[model].seconds_to_read or 0) > 0
    for model, one in of.items():
        assert (one.bytes is not None) == project.declared.manifest.made[model].holds_rows
    assert (of["mart_consent_daily"].bytes or 0) > project.frame("mart_consent_daily").height * 8, "that of the dates"
    assert of["rpt_companies"].rows is of["rpt_companies"].seconds_to_read is None, "it has none without arguments"


def test_the_seconds_are_those_of_the_run_with_the_most_days(project: Project) -> None:
    before = found(project)["mart_consent_daily"]
    runner = project.runner()
    newest = Window.of_days(YESTERDAY, YESTERDAY)
    assert runner.make(runner.plan_of_range({"mart_consent_daily"}, newest))
    assert found(project)["mart_consent_daily"].days == before.days == len(project.window)
    assert found(project)["mart_consent_daily"].seconds == before.seconds


def test_nothing_that_is_made_is_told_with_what_to_do(tmp_path: Path) -> None:
    empty = Project(tmp_path / "data", ALL_OF_ONE)
    with pytest.raises(ValueError, match="materialize --new"):
        profiles(empty.declared, empty.instance, ["mart_consent_daily"])


def test_the_command_shows_each_selected_model_and_the_sums(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    location = SimpleNamespace(project=project.declared, defs=project.definitions)
    monkeypatch.setitem(sys.modules, "analytics_assets.definitions", location)  # type: ignore[arg-type]
    monkeypatch.setattr(profile, "get_settings", lambda: project.settings)
    monkeypatch.setattr(home, "prepare_dagster_home", lambda settings: None)
    monkeypatch.setattr(DagsterInstance, "get", lambda: nullcontext(project.instance))
    said = CliRunner().invoke(profile.commands, ["--select", "mart_consent_daily or rpt_companies"]).output
    rows = project.frame("mart_consent_daily").height
    shown = [[cell.strip() for cell in line.strip("│").split("│")] for line in said.splitlines() if line[:1] == "│"]
    assert [row[:2] for row in shown] == [["mart_consent_daily", "incremental"], ["rpt_companies", "table function"]]
    assert shown[0][3:5] == [str(len(project.window)), f"{rows:,}"]
    assert "2 models: " in said and f"{rows:,} rows and " in said
