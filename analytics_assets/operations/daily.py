"""The daily schedules: a catch-up, and a health check of every day.

The sensors do the same as the catch-up within seconds. The catch-up requests what they missed while they were off, and
every elapsed day of every source, including days without rows.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetsDefinition,
    AssetSelection,
    DefaultScheduleStatus,
    MaterializeResult,
    MetadataValue,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    TableRecord,
    asset,
    define_asset_job,
    schedule,
)

from analytics_assets.automation.run_grouping import one_run_per_span
from analytics_assets.dagster_internals import AssetDaemonCursor, AutomationTickEvaluationContext, BaseAssetGraph
from analytics_assets.ingest.new_files_sensor import look_at_inboxes
from analytics_assets.operations.health import HEALTH, Finding, check_health
from analytics_assets.partitions import UTC_DAYS, Calendar
from analytics_assets.project import Project
from analytics_assets.spec.asset import AssetKind, name_of

CATCH_UP_AT = "15 0 * * *"
HEALTH_AT = "0 5 * * *"
SHOWN = 100
"""Maximum number of findings shown in the UI; `analytics-assets status` prints them all."""


def build_health_asset(project: Project, graph: Callable[[], BaseAssetGraph]) -> AssetsDefinition:
    """The health of all days as an asset, so that the UI shows its history.

    Args:
        graph: returns the asset graph, once all assets are built.
    """

    @asset(
        name=HEALTH,
        group_name="operations",
        kinds={"table"},
        description="Days of all assets that are failed, missing, stale, or made by older code.",
        check_specs=[
            AssetCheckSpec("nothing_is_amiss", asset=HEALTH, description="No day is failed, missing or stale.")
        ],
    )
    def health(context: AssetExecutionContext) -> MaterializeResult:
        found = check_health(graph(), project, context.instance, datetime.now(UTC))
        shown = [TableRecord(as_record(finding)) for finding in found.amiss[:SHOWN]]
        return MaterializeResult(
            metadata={
                **{state.value.replace(" ", "_"): count for state, count in found.counts.items()},
                **({"findings": MetadataValue.table(shown)} if shown else {}),
            },
            check_results=[
                AssetCheckResult(
                    check_name="nothing_is_amiss",
                    passed=not found.amiss,
                    severity=AssetCheckSeverity.WARN,
                    metadata={"first": MetadataValue.table(shown)} if shown else {},
                )
            ],
        )

    return health


def as_record(finding: Finding) -> dict[str, str]:
    """A finding as a row of a table."""
    return {
        "asset": finding.asset,
        "state": finding.state.value,
        "days": str(finding.days or ""),
        "why": finding.why,
        "next_try": finding.next_try,
    }


def build_daily_schedules(project: Project) -> list[ScheduleDefinition]:
    """The catch-ups shortly after midnight, and the health check before people start to work, in UTC."""
    health = ScheduleDefinition(
        name="health",
        cron_schedule=HEALTH_AT,
        execution_timezone="UTC",
        job=define_asset_job("check_health", AssetSelection.assets(HEALTH)),
        default_status=DefaultScheduleStatus.RUNNING,
        description="Lists the days that are failed, missing or stale.",
    )
    calendars = dict.fromkeys([UTC_DAYS, *project.calendars.values()])
    return [*(_catch_up(project, calendar) for calendar in calendars), health]


def _catch_up(project: Project, calendar: Calendar) -> ScheduleDefinition:
    """The catch-up of the assets with some days, shortly after one begins: a target has days of one kind.

    That of the settings' days also lands files, and makes what has no days.
    """
    names = {
        one.name for one in project.catalog.values() if one.calendar == calendar and one.kind is not AssetKind.EXTRACT
    }
    target: AssetSelection = AssetSelection.assets(*sorted(names))
    if calendar == UTC_DAYS:
        target = AssetSelection.all() - AssetSelection.assets(*sorted(project.catalog.keys() - names))

    @schedule(
        name=f"daily_catch_up{calendar.suffix}",
        cron_schedule=CATCH_UP_AT,
        execution_timezone=calendar.timezone,
        target=target,
        default_status=DefaultScheduleStatus.RUNNING,
        description="Looks through the whole inbox and at every day of its assets, and asks for what differs.",
    )
    def daily_catch_up(context: ScheduleEvaluationContext) -> list[RunRequest]:
        asked = [request for request in out_of_date_requests(context) if _is_of(request, calendar, project)]
        if calendar != UTC_DAYS:
            return asked
        found = look_at_inboxes(context.instance, project, marks={})
        for name, error in found.failed.items():
            context.log.error(f"{name}: {error}")
        return [*found.requests, *asked]

    return daily_catch_up


def _is_of(request: RunRequest, calendar: Calendar, project: Project) -> bool:
    """Whether a request is for assets with some days."""
    calendars = {
        known.calendar if (known := project.catalog.get(name_of(key))) else UTC_DAYS
        for key in request.asset_selection or ()
    }
    return calendar in calendars


def out_of_date_requests(context: ScheduleEvaluationContext) -> list[RunRequest]:
    """The runs that the automation would request if it had no memory of earlier ticks."""
    assert context.repository_def is not None  # always set when a schedule runs
    tick = AutomationTickEvaluationContext(
        evaluation_id=0,
        instance=context.instance,
        asset_graph=context.repository_def.asset_graph,
        cursor=AssetDaemonCursor.empty(),
        materialize_run_tags={},
        observe_run_tags={},
        auto_observe_asset_keys=set(),
        asset_selection=AssetSelection.all(),
        logger=context.log,
        emit_backfills=False,
    )
    requests, _, _ = tick.evaluate()
    return one_run_per_span(requests)
