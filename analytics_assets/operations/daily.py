"""What happens once a day, whatever happened during it: a reconciliation, and an inventory.

The sensors do the same as the reconciliation within seconds. It makes good what they missed while they were off, and
every elapsed day of every source, quiet ones included.
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

from analytics_assets.automation.run_requests import one_run_a_span
from analytics_assets.dagster_internals import AssetDaemonCursor, AutomationTickEvaluationContext, BaseAssetGraph
from analytics_assets.ingest.landing import Landing
from analytics_assets.ingest.new_files_sensor import request_landing
from analytics_assets.operations.health import INVENTORY, Finding, take_inventory
from analytics_assets.project import Project
from analytics_assets.spec.asset import KIND_TAG, AssetKind

RECONCILE_AT = "15 0 * * *"
INVENTORY_AT = "0 5 * * *"
SHOWN = 100
"""So many findings are shown in the UI; `analytics-assets status` prints them all."""


def build_inventory_asset(project: Project, graph: Callable[[], BaseAssetGraph]) -> AssetsDefinition:
    """The inventory as an asset, so that its history is seen in the UI.

    Args:
        graph: gives all assets, once they are there.
    """

    @asset(
        name=INVENTORY,
        group_name="operations",
        kinds={"table"},
        description="Days of all assets that are failed, missing, stale, or made by older code.",
        check_specs=[
            AssetCheckSpec("nothing_is_amiss", asset=INVENTORY, description="No day is failed, missing or stale.")
        ],
    )
    def inventory(context: AssetExecutionContext) -> MaterializeResult:
        found = take_inventory(graph(), project, context.instance, datetime.now(UTC))
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

    return inventory


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
    """The reconciliation shortly after midnight, the inventory before people begin to work; both in UTC."""

    @schedule(
        name="reconciliation",
        cron_schedule=RECONCILE_AT,
        execution_timezone="UTC",
        target=AssetSelection.all()
        - AssetSelection.tag(KIND_TAG, AssetKind.EXTRACT.value),  # a target has days of one kind
        default_status=DefaultScheduleStatus.RUNNING,
        description="Looks through the whole inbox and at every day of every asset, and asks for what differs.",
    )
    def reconciliation(context: ScheduleEvaluationContext) -> list[RunRequest]:
        landings = []
        for source in project.sources:
            new = Landing(project.settings, source).look(limit=project.settings.landing_files_per_run).new
            asked = request_landing(context.instance, source, new) if new else None
            if isinstance(asked, RunRequest):
                landings.append(asked)
        return [*landings, *out_of_date_requests(context)]

    inventory = ScheduleDefinition(
        name="inventory",
        cron_schedule=INVENTORY_AT,
        execution_timezone="UTC",
        job=define_asset_job("take_inventory", AssetSelection.assets(INVENTORY)),
        default_status=DefaultScheduleStatus.RUNNING,
        description="Lists the days that are failed, missing or stale.",
    )
    return [reconciliation, inventory]


def out_of_date_requests(context: ScheduleEvaluationContext) -> list[RunRequest]:
    """What the automation would ask for if it had no memory of earlier ticks."""
    assert context.repository_def is not None  # so it is wherever a schedule runs
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
    return one_run_a_span(requests)
