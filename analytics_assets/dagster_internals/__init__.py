"""Every private name of Dagster and dbt that the project uses, each with the reason; no other module imports one.

A test imports them one by one: after an upgrade it says which of them broke. Slow imports are inside functions or in
`storage.py`, since what loads the definitions does not need them.
"""

# ruff: noqa: I001 (each reason stands above its imports)

import logging
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from dagster import AssetExecutionContext, AssetKey, DagsterInstance, Definitions, deserialize_value

# The project asks a code server to reload its definitions, as the button in the UI does.
from dagster._core.remote_origin import CodeLocationOrigin as CodeLocationOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin as GrpcServerCodeLocationOrigin

# The condition sensor changes its tick's result before the requests become runs.
from dagster._core.definitions.sensor_definition import SensorExecutionData as SensorExecutionData
from dagster_shared.record import copy as copy

# Conditions hold for single days, which are an asset's partitions in Dagster.
from dagster._core.definitions.events import AssetKeyPartitionKey as AssetKeyPartitionKey

# The types that the public `Definitions.resolve_asset_graph()` returns.
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph as BaseAssetGraph
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetNode as BaseAssetNode

# The daily schedule evaluates all conditions without the sensor's memory.
from dagster._core.definitions.asset_daemon_cursor import AssetDaemonCursor as AssetDaemonCursor
from dagster._core.definitions.automation_tick_evaluation_context import (
    AutomationTickEvaluationContext as AutomationTickEvaluationContext,
)

# Runs are requested with these tags, which the documentation gives as plain strings.
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG as ASSET_PARTITION_RANGE_END_TAG
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_START_TAG as ASSET_PARTITION_RANGE_START_TAG
from dagster._core.storage.tags import BACKFILL_ID_TAG as BACKFILL_ID_TAG
from dagster._core.storage.tags import MAX_RETRIES_TAG as MAX_RETRIES_TAG
from dagster._core.storage.tags import PARTITION_NAME_TAG as PARTITION_NAME_TAG
from dagster._core.storage.tags import PRIORITY_TAG as PRIORITY_TAG
from dagster._core.storage.tags import RETRY_NUMBER_TAG as RETRY_NUMBER_TAG
from dagster._core.storage.tags import SENSOR_NAME_TAG as SENSOR_NAME_TAG

# What looks for runs that are queued or going on names their statuses.
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES as NOT_FINISHED_STATUSES

# The launcher starts runs, and tells whether the process of a run is gone.
from dagster._core.events import EngineEventData as EngineEventData
from dagster._core.launcher.base import CheckRunHealthResult as CheckRunHealthResult
from dagster._core.launcher.base import LaunchRunContext as LaunchRunContext
from dagster._core.launcher.base import WorkerStatus as WorkerStatus

# The launcher and the event log are made from their entries in dagster.yaml.
from dagster._serdes import ConfigurableClassData as ConfigurableClassData

# dbt ends its queries and threads only on KeyboardInterrupt; Dagster raises interruptions of its own.
from dagster._utils.interrupts import raise_interrupts_as as raise_interrupts_as

# Backfill policies and sensors in the code server are marked beta; the lock pins the version they were tried on.
from dagster._utils.warnings import BetaWarning as BetaWarning

if TYPE_CHECKING:
    from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage


def parse_asset_selection(text: str) -> Any:
    """Parses a selection in the syntax of the UI; the public function would fall back to an older syntax."""
    from dagster._core.definitions.antlr_asset_selection.antlr_asset_selection import AntlrAssetSelectionParser

    return AntlrAssetSelectionParser(text, include_sources=False).asset_selection


def requested_partitions(
    definitions: Definitions, instance: DagsterInstance, keys: Iterable[AssetKey]
) -> Mapping[AssetKey, set[str | None]]:
    """The partition keys that the conditions of some assets request now, by asset; None for one without partitions.

    The public `evaluate_automation_conditions` requests the same. It also evaluates the conditions of all checks, which
    run with their assets, and hashes every condition for a next evaluation that remembers this one.
    """
    from dagster._core.definitions.declarative_automation.automation_condition_evaluator import (
        AutomationConditionEvaluator,
    )
    from dagster._core.definitions.partitions.context import partition_loading_context

    graph = definitions.resolve_asset_graph()
    evaluator = AutomationConditionEvaluator(
        asset_graph=graph,
        instance=instance,
        entity_keys={key for key in keys if graph.get(key).automation_condition is not None},
        evaluation_time=None,
        emit_backfills=False,
        logger=logging.getLogger("dagster.automation"),  # of the project's own, people see the messages
        cursor=AssetDaemonCursor.empty(),
        evaluation_id=0,
    )
    _, subsets = evaluator.evaluate()
    found: dict[AssetKey, set[str | None]] = defaultdict(set)
    with partition_loading_context(effective_dt=evaluator.evaluation_time, dynamic_partitions_store=instance):
        for subset in (one for one in subsets if isinstance(one.key, AssetKey)):
            for one in subset.expensively_compute_asset_partitions():
                found[one.asset_key].add(one.partition_key)
    return found


def add_partition_metadata(
    context: AssetExecutionContext, asset_key: AssetKey, metadata: Mapping[str, Mapping[str, Any]]
) -> None:
    """Adds metadata to many partitions of an asset, by partition key, in one step.

    The public `context.add_asset_metadata` takes one partition, and copies and checks what all others have got: its
    time grows with the square of the number of days.
    """
    from dagster._core.execution.context.metadata_logging import AssetMetadataHandle, OutputMetadataAccumulator

    step = context.op_execution_context.get_step_execution_context()
    added: dict[Any, Mapping[str, Any]] = {
        AssetMetadataHandle(asset_key=asset_key, partition_key=partition): values
        for partition, values in metadata.items()
    }
    known = step._metadata_accumulator.per_output_metadata
    step._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata={**known, **added})


SLOW_MODULES_OF_RUNS = (
    "analytics_assets.dagster_internals.storage",
    "dagster._cli.api",
    "dagster._core.execution.api",
    "dbt.cli.main",
    "dbt.adapters.duckdb",
)
"""What a run imports while it works, beyond the definitions; together some seconds."""


def instance_of(reference: str) -> DagsterInstance:
    """The instance that a serialized `InstanceRef` refers to; one process hands it to another in this form."""
    from dagster._core.instance.ref import InstanceRef

    return DagsterInstance.from_ref(deserialize_value(reference, InstanceRef))


def execute_run(run_id: str, instance: DagsterInstance) -> None:
    """Executes a run in this process, as `dagster api execute_run` does, which also keeps all events in memory."""
    from dagster._cli.api import _execute_run_command_body
    from dagster._utils.interrupts import capture_interrupts

    with capture_interrupts():
        _execute_run_command_body(run_id, instance, lambda _: None, set_exit_code_on_failure=False)


def module_of_dagster_dev() -> Any:
    """The module that starts the web server of `dagster dev`; the caller replaces that start with a guarded one."""
    from dagster._cli import dev

    return dev


def dbt_event_message(event: Mapping[str, Any]) -> "DbtCoreCliEventMessage":
    """A dbt event in dagster-dbt's form, which converts to Dagster's events; only its CLI wrapper is public."""
    from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

    return DbtCoreCliEventMessage(raw_event=dict(event), event_history_metadata={})


def dbt_invoke(manifest: Any, callbacks: list[Callable[[Any], None]], arguments: list[str]) -> Any:
    """Runs dbt in this process through its documented entry point, which returns the results as dbt's own objects.

    What is made for a process of its own is changed:

    - dbt-duckdb would open and close the database for each phase of a command, some ten times. The profile keeps it
      open; here it is closed at the end of the call, so that others can open it.
    - Each command would write a summary of the whole graph for diagnosis. Nobody reads it, and it takes longer than a
      small model.
    - Each command would look through all installed packages for plugins of dbt. The project has none.
    - Each name of a selection would be split and compared, part by part, with all names of the project, three times.
    """
    from dbt.cli.main import dbtRunner
    from dbt.compilation import Linker
    from dbt.plugins.manager import PluginManager

    Linker.get_graph_summary = lambda self, manifest: {}
    PluginManager.get_prefixed_modules = classmethod(lambda cls: {})
    select_quickly()
    try:
        return dbtRunner(manifest=manifest, callbacks=callbacks).invoke(arguments)
    finally:
        _close_duckdb()


@cache
def select_quickly() -> None:
    """Lets dbt compare a bare name only with what may be equal to it: a node's own name, and its package or folder."""
    from dbt.graph import selector_methods
    from dbt.graph.selector_methods import is_selected_node

    @wraps(is_selected_node)
    def is_selected(fqn: list[str], selector: str, is_versioned: bool) -> bool:
        if is_versioned or not selector.isidentifier():
            return bool(is_selected_node(fqn, selector, is_versioned))
        return selector in (fqn[-1], fqn[0].partition(".")[0])

    selector_methods.is_selected_node = is_selected


def _close_duckdb() -> None:
    if adapter := sys.modules.get("dbt.adapters.duckdb.connections"):
        environment = adapter.DuckDBConnectionManager._ENV
        if environment is not None:
            environment.close()


def dbt_event_as_dict(event: Any) -> dict[str, Any]:
    """A dbt event in the form of its structured log."""
    from dbt_common.events.functions import msg_to_dict

    return msg_to_dict(event)


def dbt_manifest(packed: bytes) -> Any:
    """dbt's own manifest object, from its saved parse; a run that gets it does not parse."""
    from dbt.contracts.graph.manifest import Manifest

    return Manifest.from_msgpack(packed)
