"""What making some days would read, asked of the warehouse before anything is made."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analytics_assets.ingest.source import Source
from analytics_assets.partitions import Window
from analytics_assets.settings import Settings
from analytics_assets.warehouse.dbt import DbtError, load_manifest, run_dbt
from analytics_assets.warehouse.translator import has_days
from analytics_assets.warehouse.warehouse import NotMade, Reader, between, warehouse_of


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


def estimate(models: Sequence[str], window: Window, settings: Settings, sources: Iterable[Source]) -> list[Estimate]:
    """What making the days of a window of some models would read, in their order; those that hold no rows read nothing.

    Raises:
        DbtError: a model does not compile.
    """
    nodes = {node["name"]: node for node in load_manifest(settings)["nodes"].values()}
    held = [name for name in models if nodes[name]["config"]["materialized"] == "incremental"]
    if not held:
        return []
    run = run_dbt(["compile", "--select", *held, "--indirect-selection", "buildable"], settings, sources, window)
    if run.failures:
        raise DbtError("; ".join(run.failures.values()))
    of_model = {result.unique_id: result.sql for result in run.results if not result.tested}
    of_checks: dict[str, list[str]] = {}
    for result in run.results:
        if result.tested and result.sql:
            of_checks.setdefault(result.tested, []).append(result.sql)
    with warehouse_of(settings).reading() as reader:
        found = []
        for name in held:
            node, sql = nodes[name], of_model.get(nodes[name]["unique_id"])
            try:
                days = _bytes_of_days(reader, node, sql or "", window)
                checks = sum(_bytes_if_made(reader, check) for check in of_checks.get(node["unique_id"], ()))
                found.append(Estimate(name, days, checks))
            except NotMade as error:
                found.append(Estimate(name, unknown=str(error)))
        return found


def _bytes_of_days(reader: Reader, node: Mapping[str, Any], rows: str, window: Window) -> int:
    """Of the statement that replaces the days; of a table that is not there, those of its rows."""
    assert has_days(node)
    days = between(node["config"]["meta"]["day"], window)
    try:
        return reader.bytes_read(
            f"merge into {node['relation_name']} using (\n{rows}\n) as new_rows on false"
            f" when not matched by source and {days} then delete"
        )
    except NotMade:
        return reader.bytes_read(rows)


def _bytes_if_made(reader: Reader, sql: str) -> int:
    """A check reads the table that it checks; before that is there, what it will read is not known, and not counted."""
    try:
        return reader.bytes_read(sql)
    except NotMade:
        return 0
