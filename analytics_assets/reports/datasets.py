"""The rows of a report: read from its models for a span of days, already summed up to what the report tells apart."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import polars as pl
from duckdb import DuckDBPyConnection

from analytics_assets.partitions import Window
from analytics_assets.reports.report import DAY, NONE, OTHER, Dataset, Report

Frames = Mapping[str, pl.DataFrame]
"""For each model of a report: `day`, its dimensions as texts, its numbers as 64-bit floats; sorted by all of them."""


def read_datasets(
    connection: DuckDBPyConnection, report: Report, manifest: Mapping[str, Any], window: Window
) -> Frames:
    """The rows of each dataset on the days of a window; a model without rows gives none.

    Raises:
        duckdb.CatalogException: a model was never made.
    """
    nodes = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    return {
        dataset.model: connection.execute(query(report, dataset, nodes[dataset.model]), [window.start, window.end]).pl()
        for dataset in report.datasets
    }


def query(report: Report, dataset: Dataset, node: Mapping[str, Any]) -> str:
    """The SQL of a dataset, with the first day and the one after the last as its two arguments."""
    day = node["config"]["meta"]["day"]
    columns = [f'{day} as "{DAY}"', *(_dimension(report, column) for column in dataset.dimensions)]
    columns += [f'cast(sum("{column}") as double) as "{column}"' for column in dataset.numbers]
    return (
        f'select {", ".join(columns)} from {node["schema"]}."{node["alias"]}"'
        f" where {day} >= ? and {day} < ? group by all order by all"
    )


def _dimension(report: Report, column: str) -> str:
    value = f"""coalesce(cast("{column}" as varchar), {_text(NONE)})"""
    if (values := report.dimension(column).values) is not None:
        value = f"case when {value} in ({', '.join(map(_text, values))}) then {value} else {_text(OTHER)} end"
    return f'{value} as "{column}"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def days_with_rows(frames: Frames) -> list[date]:
    """The days on which any dataset has rows, the oldest first."""
    return sorted({day for frame in frames.values() for day in frame[DAY].to_list()})
