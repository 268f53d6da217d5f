"""dbt as a library: runs one command in this process and returns its structured events and results.

Starting dbt as a program costs several seconds per run, most of them to read the project again; see
docs/performance.md. This module knows no model by name.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analytics_assets.dagster_internals import dbt_event_as_dict, dbt_invoke, raise_interrupts_as
from analytics_assets.foundation.failures import INTERRUPTS
from analytics_assets.foundation.plain_text import logger_of
from analytics_assets.settings import Settings
from analytics_assets.warehouse.choice import warehouse_of

logger = logger_of(__name__)


WRITING = ("build", "run", "seed", "snapshot", "clone", "retry", "run-operation")
"""The dbt commands that write tables, by dbt's names."""


def why_not_in_production(command: str) -> str:
    """Why a command that writes tables is refused for production, and what to type instead."""
    return (
        f"`dbt {command}` would write rows that no record of days knows of: type `analytics-assets materialize"
        " --select MODEL --from DATE --to DATE` to make days of production,"
    )


class DbtError(Exception):
    """dbt failed; the message names the models or tests and what the database said."""


@dataclass(frozen=True)
class DbtResult:
    """The result of one model or test.

    Attributes:
        unique_id: dbt's.
        tested: the unique id of the model that a test is attached to.
        status: dbt's: success, pass, error, fail, warn, skipped.
        message: what the database said.
        sql: the compiled query: for a model, of its rows; for a test, of its failing rows.
        costs: the warehouse's cost figures; for BigQuery, bytes_processed, bytes_billed, slot_ms and job_id.
    """

    unique_id: str
    name: str
    tested: str | None
    status: str
    message: str
    sql: str | None
    costs: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class DbtRun:
    """One run of dbt: its structured log events, as dicts in order, and the result of each node."""

    events: list[dict[str, Any]] = field(default_factory=list)
    results: list[DbtResult] = field(default_factory=list)

    @property
    def succeeded(self) -> set[str]:
        """Unique ids of the models that were made."""
        return {result.unique_id for result in self.results if result.status == "success"}

    @property
    def failed(self) -> list[DbtResult]:
        """The results that failed; warnings do not count."""
        return [result for result in self.results if result.status in ("error", "fail", "runtime error")]

    @property
    def failures(self) -> dict[str, str]:
        """The message of each failed result, by name."""
        return {result.name: result.message for result in self.failed}

    @property
    def failing_tests(self) -> dict[str, str]:
        """The SQL that returns the failing rows of each test that failed or warned, by the test's name."""
        return {
            result.name: result.sql
            for result in self.results
            if result.tested and result.sql and result.status in ("fail", "warn")
        }


def invoke(
    arguments: Sequence[str],
    variables: Mapping[str, Any],
    settings: Settings,
    *,
    project: Path,
    manifest: Any = None,
    attached: Mapping[str, str | None] | None = None,
    write_json: bool = False,
    quiet: bool = True,
) -> DbtRun:
    """Runs a dbt command on a project folder, with some variables.

    Args:
        manifest: dbt's own manifest object; if given, dbt does not parse again.
        attached: the unique id of the model that a test is attached to, by the unique id of the test.
        write_json: whether dbt writes its artifacts.
        quiet: whether dbt prints nothing.

    Raises:
        DbtError: dbt could not even start, or failed without a result.
    """
    run = DbtRun()

    def listen(event: Any) -> None:
        run.events.append(dbt_event_as_dict(event))
        if event.info.name in ("LogModelResult", "LogSeedResult"):
            logger.info(f"{event.data.node_info.node_name}: {event.data.status}, {event.data.execution_time:.1f} s")

    said = ["--quiet", "--log-level", "none"] if quiet else []
    said += ["--log-level-file", "none", "--no-use-colors", "--cache-selected-only"]
    places = ["--project-dir", str(project), "--profiles-dir", str(project)]
    places += ["--profile", warehouse_of(settings).profile]
    written = ["--write-json"] if write_json else ["--no-write-json"]
    # dbt ends its queries and threads only on KeyboardInterrupt; Dagster raises interruptions of its own.
    with raise_interrupts_as(KeyboardInterrupt):
        result = dbt_invoke(
            manifest, [listen], [*said, *written, *arguments, *places, "--vars", json.dumps(dict(variables))]
        )
    if isinstance(result.exception, INTERRUPTS):
        raise result.exception
    for node in getattr(result.result, "results", None) or []:
        run.results.append(
            DbtResult(
                unique_id=node.node.unique_id,
                name=node.node.name,
                tested=(attached or {}).get(node.node.unique_id),
                status=str(node.status),
                message=(node.message or "").strip(),
                sql=getattr(node.node, "compiled_code", None),
                costs=node.adapter_response,
            )
        )
    if result.exception is not None:
        raise DbtError(str(result.exception).strip()) from result.exception
    if not result.success and not run.failures:
        raise DbtError(f"dbt {arguments[0]} failed without saying why")
    return run
