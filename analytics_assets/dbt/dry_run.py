"""What making some days would read, asked of the warehouse before anything is made."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from analytics_assets.dbt.invocation import DbtError
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.partitions import Window
from analytics_assets.project import Project
from analytics_assets.spec.model_node import ModelNode
from analytics_assets.warehouse.interface import NotMade, Reader, between

AT_ONCE = 8
"""So many models are asked about at the same time; an answer takes some tenths of a second."""


@dataclass(frozen=True)
class Estimate:
    """What one model would read.

    Attributes:
        model: its name.
        bytes_of_days: to make its days: those of the tables that it reads, and of its own that are replaced.
        bytes_of_checks: to check them.
        unknown: why the bytes are not known, where they are not: something that it reads is not there yet.
    """

    model: str
    bytes_of_days: int = 0
    bytes_of_checks: int = 0
    unknown: str = ""


def estimate(models: Sequence[str], window: Window, project: Project) -> list[Estimate]:
    """What making the days of a window of some models would read, in their order; a view costs no more than its checks.

    Raises:
        DbtError: a model does not compile.
        CannotRead: the warehouse cannot be asked.
    """
    if not models:
        return []
    warehouse = project.warehouse
    warehouse.see_that_it_can_be_written()
    compile_ = ["compile", "--select", *models, "--indirect-selection", "buildable"]
    run = run_dbt(compile_, project.settings, project.sources, window)
    if run.failures:
        raise DbtError("; ".join(run.failures.values()))
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


def _bytes_of_days(reader: Reader, node: ModelNode, rows: str, window: Window) -> int:
    """Of the statement that replaces the days; of a table that is not there, those of its rows."""
    days = between(node.day, window)
    try:
        return reader.bytes_read(
            f"merge into {node.relation_name} using (\n{rows}\n) as new_rows on false"
            f" when not matched by source and {days} then delete"
        )
    except NotMade:
        return reader.bytes_read(rows)


def _bytes_if_made(reader: Reader, sql: str) -> int:
    """A check reads what it checks; before that is there, what it will read is not known, and not counted."""
    try:
        return reader.bytes_read(sql)
    except NotMade:
        return 0
