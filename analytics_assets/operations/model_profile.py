"""What each model takes: seconds to make it, rows, bytes, and seconds to read all of it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from dagster import DagsterInstance

from analytics_assets.operations.experience import Experience
from analytics_assets.project import Project
from analytics_assets.spec.model_node import ModelNode
from analytics_assets.warehouse.bigquery.table_sizes import measure
from analytics_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from analytics_assets.warehouse.interface import NotMade, Reader


@dataclass(frozen=True)
class Profile:
    """What a model takes; None where that is not known.

    Attributes:
        materialized: dbt's name of it.
        seconds: that dbt worked on it in one run, of the last ones that with the most days.
        days: of that run; 1 for a model without days.
        rows: of all days.
        bytes: of these rows as BigQuery counts them, uncompressed; of a view none, since it stores none.
        seconds_to_read: every column of every row, in DuckDB.
    """

    model: str
    materialized: str
    seconds: float | None
    days: int | None
    rows: int | None
    bytes: int | None
    seconds_to_read: float | None


def profiles(project: Project, instance: DagsterInstance, models: Iterable[str]) -> list[Profile]:
    """The profiles of some models in DuckDB, those that take longest to make first.

    Raises:
        ValueError: nothing is made yet.
    """
    settings = project.settings.model_copy(update={"warehouse": "duckdb"})
    tables, experience = measure(settings, project.manifest, ()), Experience(instance)
    found = []
    with DuckDBWarehouse(settings).reading() as reader:
        for name in models:
            node = project.manifest.made[name]
            seconds, days = experience.longest(name) or (None, None)
            rows, to_read = _read(reader, node)
            held = tables.get(name)
            size = sum(held.columns.values()) if held else None
            found.append(Profile(name, node.materialized, seconds, days, rows, size, to_read))
    return sorted(found, key=lambda one: (-(one.seconds or 0), one.model))


def _read(reader: Reader, node: ModelNode) -> tuple[int | None, float | None]:
    """How many rows a model has, and the seconds in which they are all read."""
    if node.is_table_function:
        return None, None
    started = time.perf_counter()
    try:  # a hash of the row needs every column; their xor keeps nothing
        sql = f"select count(*), bit_xor(hash(model)) from {node.relation_name} as model"  # noqa: S608
        ((rows, _),) = reader.rows(sql).rows
    except NotMade:
        return None, None
    return rows, time.perf_counter() - started
