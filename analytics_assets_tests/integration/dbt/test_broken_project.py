"""A mistake in one file of the dbt project: the file is named, and everything that does not need it runs."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analytics_assets.build import faults_of, open_project
from analytics_assets.dbt import project as dbt
from analytics_assets.dbt import runner as dbt_runner
from analytics_assets.operations.health import DBT_PROJECT, State, check_health
from analytics_assets.operations.runner import Runner
from analytics_assets.state.attempts import Attempts
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.project import ONE_DOMAIN, WITHOUT_REPORTS, Project, day

MARTS = Path("models/marts/consent")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the dbt project in which the tests break things, and which this process takes for the project."""
    copy = tmp_path_factory.mktemp("project") / "dbt_project"
    shutil.copytree(dbt.DBT_PROJECT_DIR, copy, ignore=shutil.ignore_patterns("target"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dbt, "DBT_PROJECT_DIR", copy)
        yield copy


@pytest.fixture(autouse=True)
def _restored(folder: Path, tmp_path: Path) -> Iterator[None]:
    """Each test begins with the project as it is, and with what a process knows that has just begun."""
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    forget_what_was_loaded()
    yield
    shutil.rmtree(folder)
    shutil.copytree(kept, folder)
    forget_what_was_loaded()


def forget_what_was_loaded() -> None:
    dbt.parsed.cache_clear()
    dbt._loaded.cache_clear()
    dbt_runner._parsed_manifest.cache_clear()


def append(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text((file.read_text() if file.exists() else "") + text)


def made(folder: Path) -> tuple[Project, Runner, list[str]]:
    """A project of one domain on the dbt project as it is: landed and settled, with its runner and the faults."""
    project = Project(folder / "data", ONE_DOMAIN)
    faults = faults_of(open_project(project.settings, WITHOUT_REPORTS))
    project.declared = replace(project.declared, faults=faults)
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    runner = project.runner()
    runner.land({"landed_consent_events"})
    runner.settle({key.path[-1] for key in project.definitions.resolve_asset_graph().get_all_asset_keys()})
    return project, runner, faults


def test_the_other_models_are_made_and_each_file_is_named_with_what_to_do(folder: Path, tmp_path: Path) -> None:
    append(folder / MARTS / "mart_consent_answers_daily.sql", "\n{% if %}")
    append(folder / "models/staging/consent/stg_companies.sql", "\nwhere no_such_column")
    append(folder / MARTS / "unknown_to_a_yml.sql", "select * from {{ ref('mart_company_daily') }}")
    append(folder / "models/marts/shop/orders.sql", "{{ config(materialized='view') }} select 1 as one")
    append(folder / "models/loose.sql", "select 1 as one")
    append(folder / "tests/of_nothing.sql", "select 1 as one where false")
    append(folder / "tests/passes.sql", "select * from {{ ref('stg_consent_events') }} where false")
    append(
        folder / "tests/objects.sql",
        f"select a.event_date as the_day from {{{{ ref('int_consent_answers') }}}} a"
        f" full join {{{{ ref('stg_consent_events') }}}} b using (event_date) where false"
        f" union all select date '{day(2)}'",
    )
    project, runner, faults = made(tmp_path)

    said = {fault.partition(" ")[0]: fault for fault in faults}
    assert said.keys() == {
        "models/marts/consent/mart_consent_answers_daily.sql",
        "models/marts/consent/_exposures.yml",
        "models/marts/consent/unknown_to_a_yml.sql",
        "models/marts/shop/orders.sql",
        "models/loose.sql",
        "tests/of_nothing.sql",
    }, faults
    assert "line " in said["models/marts/consent/mart_consent_answers_daily.sql"]
    assert "it reads mart_consent_answers_daily, which is" in said["models/marts/consent/_exposures.yml"]
    assert "add `unknown_to_a_yml`" in said["models/marts/consent/unknown_to_a_yml.sql"]
    assert "there is no domain 'shop'; there is attribution, campaigns" in said["models/marts/shop/orders.sql"]
    assert [f"dbt_project: {fault}" for fault in faults] == runner.outcome.failures[: len(faults)]
    graph = project.definitions.resolve_asset_graph()
    found = check_health(graph, project.declared, project.instance, datetime.now(UTC))
    listed = [(finding.state, finding.why) for finding in found.findings if finding.asset == DBT_PROJECT]
    assert listed == [(State.FAILED, fault) for fault in faults]

    everything = {day(number) for number in range(5)}
    assert set(runner.outcome.made["stg_consent_events"]) == everything, "a singular test that passes is no failure"
    assert set(runner.outcome.made["int_consent_answers"]) == everything - {day(2)}, "and one that fails names its day"
    failed = Attempts(project.settings.lake_dir).read("stg_companies", project.window)
    assert set(failed) == everything
    assert "no_such_column" in failed[day(1)].reason
    assert "stg_companies" not in runner.outcome.made


def test_a_project_that_parsed_before_goes_on_with_what_it_was(folder: Path, tmp_path: Path) -> None:
    assert faults_of(open_project(Project(tmp_path / "data", ONE_DOMAIN).settings, WITHOUT_REPORTS)) == []
    append(folder / MARTS / "mart_company_daily.sql", "\n{% if %}")
    forget_what_was_loaded()
    project, runner, faults = made(tmp_path)
    assert len(faults) == 1
    assert "models/marts/consent/mart_company_daily.sql" in faults[0]
    assert "Until that is mended, models are made as they were at" in faults[0]
    assert runner.outcome.failures == [f"dbt_project: {faults[0]}"]
    assert len(runner.outcome.made["mart_company_daily"]) == len(project.window)


def test_files_land_and_raw_days_are_made_without_any_model(folder: Path, tmp_path: Path) -> None:
    append(folder / "dbt_project.yml", "\n: [broken")
    shutil.rmtree(folder / "target", ignore_errors=True)
    project, runner, faults = made(tmp_path)
    assert len(faults) == 1
    assert "No model is made" in faults[0]
    assert set(runner.outcome.made) >= {"raw_consent_events"}
    assert len(runner.outcome.made["raw_consent_events"]) == len(project.window)
    assert runner.outcome.failures == [f"dbt_project: {faults[0]}"]
