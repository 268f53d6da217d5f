"""Seeds: CSV files of the dbt project, loaded when they change, and never the reason to make a day anew by itself."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from dagster import AssetKey

from analytics_assets.automation.run_grouping import PlannedRun, span_tags
from analytics_assets.dbt import step
from analytics_assets.dbt.invocation import DbtError
from analytics_assets.defs.campaigns import DOMAIN as CAMPAIGNS
from analytics_assets.operations.health import State
from analytics_assets.partitions import WHOLE
from analytics_assets.settings import PROJECT_DIR
from analytics_assets.state.builds import builds_of_model
from analytics_assets_tests.support.campaigns import pull, told
from analytics_assets_tests.support.health import findings, with_changed_code
from analytics_assets_tests.support.project import YESTERDAY, Project, day

pytestmark = pytest.mark.models_alone

SEEDS = {"lookup_currency_rates", "lookup_regions"}
READS_RATES = {"stg_campaigns", "core_campaign_performance", "daily_campaign_summary", "published_campaigns"}


def landed_in(folder: Path) -> Project:
    """Five days of campaigns that have landed."""
    project = Project(folder, [replace(CAMPAIGNS, reports=())])
    pull(project, "1", [told({"DE": 1, "US": 2}, at=at) for at in project.window.days()])
    project.land()
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return landed_in(tmp_path / "data")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = landed_in(tmp_path_factory.mktemp("seeds") / "data")
    project.settle()
    return project


@pytest.fixture
def settled(made: Project, tmp_path: Path) -> Project:
    """The same in a folder of its own, under a Dagster that knows of it."""
    return made.copy_to(tmp_path / "data", with_state=True)


def of_regions(project: Project, query: str) -> list[tuple]:
    with duckdb.connect(str(project.settings.warehouse_file), read_only=True) as connection:
        return connection.execute(f"{query} from lookups.lookup_regions").fetchall()


# ------------------------------------------------------------------------------------------------- when it is loaded


def test_they_are_loaded_by_themselves_and_what_reads_them_waits_until_they_are(project: Project) -> None:
    asked = project.requested()
    assert {name: asked[name] for name in SEEDS} == {name: {"None"} for name in SEEDS}
    assert asked.keys() == SEEDS | {"raw_campaigns", "src_campaigns"}
    runner = project.settle()
    assert set(runner.outcome.views) == SEEDS
    assert project.requested() == {}
    assert findings(project) == []


def test_every_country_of_the_world_is_in_it_and_namibia_is_not_null(settled: Project) -> None:
    assert of_regions(settled, "select count(*), count(distinct country), count(region)") == [(249, 249, 249)]
    assert of_regions(settled, "select max(region) filter (country = 'NA')") == [("EMEA",)]


def test_new_rows_and_late_ones_ask_for_none(settled: Project) -> None:
    pull(settled, "late", [told({"DE": 9}, updated=5)])
    runner = settled.settle()
    assert set(runner.outcome.made["stg_campaigns"]) == {day(1)}
    assert runner.outcome.views == []


def test_a_changed_file_is_loaded_alone_and_the_days_wait_for_a_rollout(
    settled: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed seed changes its own code and that of what reads it."""
    with_changed_code(settled, settled.folder, monkeypatch, "lookup_regions")
    changed = with_changed_code(settled, settled.folder, monkeypatch, "core_campaign_performance")
    assert changed.requested() == {"lookup_regions": {"None"}}
    runner = changed.settle()
    assert (runner.outcome.made, runner.outcome.views) == ({}, ["lookup_regions"])
    assert {(finding.asset, finding.state) for finding in findings(changed)} == {
        ("core_campaign_performance", State.OLD_CODE)
    }

    runner = changed.runner()
    runner.roll_out({*changed.assets, *changed.views}, days_per_run=5)
    assert runner.outcome.failures == []
    assert runner.outcome.made.keys() == {"core_campaign_performance", "daily_campaign_summary", "published_campaigns"}
    assert findings(changed) == []


def test_a_late_day_waits_for_a_changed_seed_that_it_reads(settled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would be made with the rows of the old file, under the code of the new one."""
    with_changed_code(settled, settled.folder, monkeypatch, "lookup_regions")
    changed = with_changed_code(settled, settled.folder, monkeypatch, "core_campaign_performance")
    pull(changed, "late", [told({"DE": 9}, updated=5)])
    changed.land()
    assert changed.requested().keys() == {"lookup_regions", "raw_campaigns", "src_campaigns", "stg_campaigns"}
    assert set(changed.settle().outcome.made["core_campaign_performance"]) == {day(1)}


def test_a_warehouse_that_was_deleted_gets_them_again(settled: Project) -> None:
    settled.settings.warehouse_file.unlink()
    assert set(settled.settle().outcome.views) == SEEDS
    assert settled.requested() == {}


# --------------------------------------------------------------------------------------------------- made by hand


def test_a_range_that_is_made_by_hand_loads_what_it_reads_before(project: Project) -> None:
    runner = project.runner()
    assert runner.make([PlannedRun(tuple(project.assets), project.window)])
    assert set(runner.outcome.views) == SEEDS
    assert project.frame("daily_campaign_summary").height == 10


def test_one_model_alone_brings_the_seed_that_it_reads_and_no_other(settled: Project) -> None:
    builds_of_model("lookup_regions", settled.settings).forget("lookup_regions", WHOLE.days())
    builds_of_model("lookup_currency_rates", settled.settings).forget("lookup_currency_rates", WHOLE.days())
    pull(settled, "late", [told({"DE": 9}, updated=5)])
    settled.land()
    runner = settled.runner()
    runner.settle({"raw_campaigns", "src_campaigns", "stg_campaigns"})
    assert runner.outcome.views == ["lookup_currency_rates"]
    assert set(runner.outcome.made["stg_campaigns"]) == {day(1)}


def test_a_model_that_is_asked_for_before_its_seed_is_loaded_is_refused_and_comes_right_by_itself(
    project: Project,
) -> None:
    assert project.runner().make([PlannedRun(("raw_campaigns", "src_campaigns"), project.window)])
    run = project.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=project.instance,
        asset_selection=[AssetKey("stg_campaigns")],
        tags=span_tags(project.window),
        raise_on_error=False,
    )
    (failure,) = [event for event in run.all_events if event.is_step_failure]
    assert "stg_campaigns reads lookup_currency_rates, which is not loaded" in str(failure.step_failure_data.error)
    assert project.settle().outcome.made.keys() == READS_RATES


@pytest.mark.parametrize("by_hand", [True, False], ids=["by hand", "by the automation"])
def test_one_that_cannot_be_loaded_holds_up_what_reads_it_and_nothing_else(
    project: Project, monkeypatch: pytest.MonkeyPatch, by_hand: bool
) -> None:
    run_dbt = step.run_dbt

    def failing(arguments: list[str], *others: object, **named: object) -> object:
        if "lookup_currency_rates" in arguments:
            raise DbtError("Conversion Error: could not convert")
        return run_dbt(arguments, *others, **named)  # type: ignore[arg-type]

    runner = project.runner()
    with monkeypatch.context() as patched:
        patched.setattr(step, "run_dbt", failing)
        if by_hand:
            assert not runner.make([PlannedRun(tuple(project.assets), project.window)])
        else:
            runner.settle({*project.assets, *project.seeds})
    (failure,) = runner.outcome.failures  # what is made from it, however far, is not tried
    assert "could not convert" in failure
    assert runner.outcome.made.keys() == {"raw_campaigns", "src_campaigns"}
    found = {finding.asset: finding for finding in findings(project)}
    assert found["lookup_currency_rates"].state is State.FAILED
    assert "could not convert" in found["lookup_currency_rates"].why
    assert project.settle().outcome.made.keys() == READS_RATES


@pytest.mark.proof  # five processes, of which four parse the project anew
def test_another_file_really_gives_other_rows(tmp_path: Path) -> None:
    """With a project of its own, whose file a person edits, by the commands that a person gives."""
    copy = tmp_path / "it's [1] ü"  # tools take parts of such a name for SQL, a pattern or an address
    shutil.copytree(
        PROJECT_DIR, copy, ignore=shutil.ignore_patterns(".*", "data", "target", "logs", "__pycache__", "docs")
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANALYTICS_")}
    env |= {"PYTHONPATH": str(copy), "DAGSTER_HOME": str(tmp_path / "home"), "ANALYTICS_START_DATE": str(day(0))}
    env |= {"ANALYTICS_INBOX_SETTLE_SECONDS": "0", "ANALYTICS_END_DATE": str(YESTERDAY)}

    def run(*arguments: str, succeeds: bool = True) -> str:
        command = [sys.executable, "-m", "analytics_assets.cli", *arguments]
        done = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
        return re.sub(r"\s+", " ", done.stdout)

    def regions() -> list[tuple]:
        with duckdb.connect(str(copy / "data" / "warehouse" / "analytics.duckdb"), read_only=True) as connection:
            return connection.execute("select distinct region from intermediate.core_campaign_performance").fetchall()

    def edit(old: str, new: str) -> None:
        file = copy / "dbt_project" / "seeds" / "campaigns" / "lookup_regions.csv"
        file.write_text(file.read_text().replace(old, new))

    pull(Project(copy / "data", [CAMPAIGNS]), "1", [told({"DE": 1}, at=day(1))])
    of_campaigns = ("--select", "group:campaigns")
    assert "lookup_regions" in run("materialize", "--from", str(day(1)), "--to", str(day(1)), *of_campaigns)
    assert regions() == [("EMEA",)]

    edit("DE,EMEA", "DE,Mars")
    assert "regions_are_known" in run("materialize", "--new", *of_campaigns, succeeds=False)
    edit("DE,Mars", "DE,APAC")
    edit("\n", ",\n")  # a column more
    edit("country,region,", "country,region,note")
    assert "lookup_regions" in run("materialize", "--new", *of_campaigns)
    assert regions() == [("EMEA",)], "its days stay as they are until somebody asks for a rollout"
    run("rollout")
    assert regions() == [("APAC",)]
