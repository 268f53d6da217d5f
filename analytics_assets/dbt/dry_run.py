"""The cost estimate of a run: how many bytes it would read. The warehouse is asked before anything is made."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from analytics_assets.dbt.invocation import DbtError, DbtRun
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.partitions import Window
from analytics_assets.project import Project
from analytics_assets.spec.model_node import ModelNode
from analytics_assets.warehouse.interface import NotMade, Reader, between

AT_ONCE = 8
"""How many models are estimated at the same time; one answer takes a few tenths of a second."""


@dataclass(frozen=True)
class Estimate:
    """How many bytes one model would read.

    Attributes:
        model: its name.
        bytes_of_days: to make its days; counts the tables that it reads and its own days that are replaced.
        bytes_of_checks: to check them.
        unknown: why the bytes are not known: an upstream table does not exist yet. Empty when they are known.
    """

    model: str
    bytes_of_days: int = 0
    bytes_of_checks: int = 0
    unknown: str = ""


def estimate(models: Sequence[str], window: Window, project: Project) -> list[Estimate]:
    """Estimates a build of a window, one estimate per model in the given order; a view costs only its checks.

    Raises:
        DbtError: a model does not compile.
        CannotRead: the warehouse cannot be queried.
    """
    if not models:
        return []
    warehouse = project.warehouse
    warehouse.require_writable()
    run = compiled(models, window, project)
    rows = {result.unique_id: result.sql or "" for result in run.results}
    of_checks: dict[str, list[str]] = {}
    for result in run.results:
        if result.tested and result.sql:
            of_checks.setdefault(result.tested, []).append(result.sql)
    with warehouse.reading() as reader, ThreadPoolExecutor(AT_ONCE) as pool:

        def of(name: str) -> Estimate:
            node = project.manifest.made[name]
            unique_id, holds_rows = node.unique_id, node.holds_rows
            try:
                days = _bytes_of_days(reader, node, rows[unique_id], window) if holds_rows else 0
                checks = sum(_bytes_if_made(reader, check) for check in of_checks.get(unique_id, ()))
            except NotMade as error:
                return Estimate(name, unknown=str(error))
            return Estimate(name, days, checks)

        return list(pool.map(of, models))


def compiled(models: Sequence[str], window: Window, project: Project) -> DbtRun:
    """The SQL of some models for the days of a window, and of those checks that read nothing else.

    Raises:
        DbtError: a model does not compile.
    """
    compile_ = ["compile", "--select", *models, "--indirect-selection", "buildable"]
    run = run_dbt(compile_, project.settings, project.sources, window)
    if run.failures:
        raise DbtError("; ".join(run.failures.values()))
    return run


def _bytes_of_days(reader: Reader, node: ModelNode, rows: str, window: Window) -> int:
    """The bytes of the statement that replaces the days; if the table does not exist yet, of the query for its rows."""
    days = between(node.day, window)
    try:
        return reader.bytes_read(
            f"merge into {node.relation_name} using (\n{rows}\n) as new_rows on false"
            f" when not matched by source and {days} then delete"
        )
    except NotMade:
        return reader.bytes_read(rows)


def _bytes_if_made(reader: Reader, sql: str) -> int:
    """The bytes of a check; 0 while the table that it checks does not exist, since the bytes are unknown until then."""
    try:
        return reader.bytes_read(sql)
    except NotMade:
        return 0
