"""Every private name of Dagster and dbt that the project uses, each with the reason; no other module imports one.

A test imports them one by one: after an upgrade it says which of them broke. What takes long to import is imported
within a function, since most processes that load the definitions never need it.
"""

# ruff: noqa: I001 (each reason stands above what it is for)

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

# The event log keeps its connections open and writes whole batches, and else is Dagster's own.
from dagster._core.storage.event_log import SqlEventLogStorageTable as SqlEventLogStorageTable
from dagster._core.storage.event_log import SqliteEventLogStorage as SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData as ConfigurableClassData

# A code server is asked to load its definitions anew, as the button in the UI does.
from dagster._core.remote_origin import CodeLocationOrigin as CodeLocationOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin as GrpcServerCodeLocationOrigin

# The condition sensor's tick is changed before its requests become runs.
from dagster._core.definitions.sensor_definition import SensorExecutionData as SensorExecutionData
from dagster_shared.record import copy as copy

# Conditions are true for days, which Dagster knows as partitions of an asset.
from dagster._core.definitions.events import AssetKeyPartitionKey as AssetKeyPartitionKey

# What `Definitions.resolve_asset_graph()`, which is public, gives.
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph as BaseAssetGraph
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetNode as BaseAssetNode

# The daily schedule evaluates all conditions without the sensor's memory.
from dagster._core.definitions.asset_daemon_cursor import AssetDaemonCursor as AssetDaemonCursor
from dagster._core.definitions.automation_tick_evaluation_context import (
    AutomationTickEvaluationContext as AutomationTickEvaluationContext,
)

# Runs are asked for by these tags, which the documentation names as texts.
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG as ASSET_PARTITION_RANGE_END_TAG
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_START_TAG as ASSET_PARTITION_RANGE_START_TAG
from dagster._core.storage.tags import MAX_RETRIES_TAG as MAX_RETRIES_TAG
from dagster._core.storage.tags import PARTITION_NAME_TAG as PARTITION_NAME_TAG
from dagster._core.storage.tags import PRIORITY_TAG as PRIORITY_TAG
from dagster._core.storage.tags import RETRY_NUMBER_TAG as RETRY_NUMBER_TAG
from dagster._core.storage.tags import SENSOR_NAME_TAG as SENSOR_NAME_TAG
from dagster._core.storage.dagster_run import FINISHED_STATUSES as FINISHED_STATUSES

# The launcher tells whether the process of a run is gone.
from dagster._core.events import EngineEventData as EngineEventData
from dagster._core.launcher.base import CheckRunHealthResult as CheckRunHealthResult
from dagster._core.launcher.base import WorkerStatus as WorkerStatus

# dbt ends its queries and threads at KeyboardInterrupt alone; Dagster raises interruptions of its own.
from dagster._utils.interrupts import raise_interrupts_as as raise_interrupts_as

# Backfill policies and sensors in the code server are marked beta; the lock pins the version they were tried on.
from dagster._utils.warnings import BetaWarning as BetaWarning

if TYPE_CHECKING:
    from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage


def parse_asset_selection(text: str) -> Any:
    """The selection that a text is in the syntax of the UI; the public function falls back to an older syntax."""
    from dagster._core.definitions.antlr_asset_selection.antlr_asset_selection import AntlrAssetSelectionParser

    return AntlrAssetSelectionParser(text, include_sources=False).asset_selection


def module_of_dagster_dev() -> Any:
    """The module that starts the web server of `dagster dev`, in which the start is replaced by one with a guard."""
    from dagster._cli import dev

    return dev


def dbt_event_message(event: Mapping[str, Any]) -> "DbtCoreCliEventMessage":
    """An event of dbt as dagster-dbt understands it, which makes Dagster's events of it; public is only its program."""
    from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

    return DbtCoreCliEventMessage(raw_event=dict(event), event_history_metadata={})


def dbt_invoke(manifest: Any, callbacks: list[Callable[[Any], None]], arguments: list[str]) -> Any:
    """Runs dbt in this process: its documented entry, which gives the results as objects of its own."""
    from dbt.cli.main import dbtRunner

    return dbtRunner(manifest=manifest, callbacks=callbacks).invoke(arguments)


def dbt_event_as_dict(event: Any) -> dict[str, Any]:
    """An event of dbt as its structured log writes it."""
    from dbt_common.events.functions import msg_to_dict

    return msg_to_dict(event)


def dbt_manifest(packed: bytes) -> Any:
    """The manifest as dbt's own object, from what dbt keeps of a parse; a run that gets it parses nothing."""
    from dbt.contracts.graph.manifest import Manifest

    return Manifest.from_msgpack(packed)
