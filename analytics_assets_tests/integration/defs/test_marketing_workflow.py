"""The daily workflow of marketing: one job from the files to the reports, whose failure is told to its owner."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterRunStatus, RunsFilter, build_schedule_context
from dagster._core.definitions.schedule_definition import ScheduleExecutionData

from analytics_assets.dbt import step
from analytics_assets.dbt.invocation import DbtError, DbtRun
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.state.builds import newest_export
from analytics_assets_tests.support.project import DOMAINS, YESTERDAY, Project, day
from analytics_assets_tests.support.webhook import taking_messages, tick

pytestmark = pytest.mark.models_alone

(MARKETING,) = (domain for domain in DOMAINS if domain.name == "attribution")
JOB = "marketing_workflow"


def project_in(tmp_path: Path, **changes: object) -> Project:
    return Project(tmp_path / "data", [MARKETING], {"start_date": day(3), **changes}, on=False)


def asked(project: Project) -> ScheduleExecutionData:
    """What the schedule asks for on the morning after the last day."""
    at = datetime.combine(YESTERDAY + timedelta(1), time(4, 30), UTC)
    repository = project.definitions.get_repository_def()
    with build_schedule_context(project.instance, scheduled_execution_time=at, repository_def=repository) as context:
        return project.definitions.resolve_schedule_def(JOB).evaluate_tick(context)


def run(project: Project) -> DagsterRunStatus:
    """Runs what the schedule asks for."""
    (request,) = asked(project).run_requests or ()
    assert request.partition_key == str(YESTERDAY)
    job = project.definitions.resolve_job_def(JOB)
    job.execute_in_process(
        instance=project.instance, partition_key=request.partition_key, tags=request.tags, raise_on_error=False
    )
    (last,) = project.instance.get_runs(RunsFilter(job_name=JOB), limit=1)
    return last.status


def test_the_workflow_lands_the_files_makes_the_newest_day_and_writes_the_reports(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    assert asked(project).skip_message == "no file of marketing has ever landed"
    project.simulate(scale=0.3)
    project.runner().land({"landed_users"})  # a file turns the domain on
    assert run(project) is DagsterRunStatus.SUCCESS

    assert set(project.frame("campaign_performance_daily")["the_day"]) == {YESTERDAY}, "the newest day alone"
    assert project.frame("campaign_performance_daily")["spend"].sum() > 0
    assert newest_export(project.settings, "marketing_dashboard", "html").exists()
    assert newest_export(project.settings, "marketing_workbook", "xlsx").exists()
    graph = project.definitions.resolve_asset_graph()
    made = {
        key.path[-1] for key in graph.get_all_asset_keys() if project.instance.get_latest_materialization_event(key)
    }
    of_marketing = {key.path[-1] for key in graph.get_all_asset_keys() if graph.get(key).group_name == MARKETING.name}
    assert made == of_marketing | {"report_index"}
    assert {"landed_users", "raw_users", "stg_users", "marketing_sheet", "rpt_users"} <= made

    before = project.tables()
    assert run(project) is DagsterRunStatus.SUCCESS
    assert project.tables() == before


def test_the_owner_is_told_when_the_workflow_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with taking_messages() as webhook:
        project = project_in(tmp_path, webhook_url=webhook.url)
        project.simulate(scale=0.1)
        project.runner().land({source.landed_asset for source in MARKETING.sources})
        cursors: dict[str, str | None] = {}
        tick(project, cursors)
        webhook.bodies.clear()

        def failing(arguments: list[str], *rest: Any, **named: Any) -> DbtRun:
            if any(name.startswith("lookup_") for name in arguments):  # what the models read
                return run_dbt(arguments, *rest, **named)
            raise DbtError("Binder Error: no such column")

        monkeypatch.setattr(step, "run_dbt", failing)
        assert run(project) is DagsterRunStatus.FAILURE
        tick(project, cursors)
    (body,) = webhook.bodies
    assert body["owner"] == MARKETING.owner
    told = {(problem["asset"], problem["days"]) for problem in body["problems"]}
    assert ("campaign_performance_daily", str(YESTERDAY)) in told
    assert "no such column" in body["text"]
    assert body["link"].endswith(project.instance.get_runs(RunsFilter(job_name=JOB), limit=1)[0].run_id)


def test_the_owner_is_told_when_the_workflow_dies_before_its_first_step(tmp_path: Path) -> None:
    with taking_messages() as webhook:
        project = project_in(tmp_path, webhook_url=webhook.url)
        cursors: dict[str, str | None] = {}
        tick(project, cursors)
        job = project.definitions.resolve_job_def(JOB)
        created = project.instance.create_run_for_job(job, tags={"dagster/partition": str(YESTERDAY)})
        project.instance.report_run_failed(created, "the process was killed")
        tick(project, cursors)
    (body,) = webhook.bodies
    assert body["owner"] == MARKETING.owner, "the job's, since no asset is known"
    assert [(problem["asset"], problem["days"]) for problem in body["problems"]] == [(JOB, str(YESTERDAY))]
    assert "the process was killed" in body["text"]
