"""The daily workflow of marketing as one job: land the files, make the newest day of all models, write the reports.

The automation does the same, and more: it follows late rows to older days, and tries again what failed. The job is for
people who want one run a day to look at, or to start by hand.
"""

from dagster import (
    AssetSelection,
    DefaultScheduleStatus,
    Definitions,
    RunRequest,
    ScheduleEvaluationContext,
    SkipReason,
    define_asset_job,
    schedule,
)

from analytics_assets.automation.run_grouping import NO_RETRY
from analytics_assets.partitions import partitioned_days
from analytics_assets.project import Project
from analytics_assets.spec.domain import Domain
from analytics_assets.state.ledger import Ledger

JOB = "marketing_workflow"

AT = "30 4 * * *"
"""Before the health check of the day, which then sees what the run has made."""


def workflow(project: Project, domain: Domain) -> Definitions:
    """The job, and the schedule that runs it once a day for the newest partition, once anything has landed."""
    job = define_asset_job(
        JOB,
        AssetSelection.groups(domain.name),
        partitions_def=project.partitions(domain.calendar),
        owners=[domain.owner],
        description="Lands the files of marketing, makes a day of its models, and writes its reports as of that day.",
    )

    @schedule(
        name=JOB,
        job=job,
        cron_schedule=AT,
        execution_timezone="UTC",
        default_status=DefaultScheduleStatus.RUNNING,
        owners=[domain.owner],
        description="Runs the workflow of marketing for the newest day.",
    )
    def daily(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        ledger = Ledger(project.settings.lake_dir)
        if not any(ledger.has_landed(source) for source in domain.sources):
            return SkipReason("no file of marketing has ever landed")
        days = partitioned_days(project.settings, context.scheduled_execution_time, domain.calendar)
        newest = max(days.days()).isoformat()
        return RunRequest(partition_key=newest, tags=NO_RETRY)  # what fails is tried again by the automation

    return Definitions(jobs=[job], schedules=[daily])
