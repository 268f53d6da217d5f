"""What a day of the project would read, bill and store on BigQuery, by its own SQL and the sizes that rows have here.

Nothing is asked of Google. The minimum charge is from its page "BigQuery pricing"; the bytes that a MERGE reads are
from "Data manipulation language (DML) statements in GoogleSQL". The estimate is high in two ways: it assumes that a day
is made again, so that the MERGE also reads the day that it replaces, and that checks and reports find every day that
they look back at.

A table counts once in a query, however often the SQL names it. Load jobs, and the making of views, cost nothing.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import PurePath

from analytics_assets.partitions import Window
from analytics_assets.spec.analysis import Analysis
from analytics_assets.spec.model_node import Manifest, ModelNode
from analytics_assets.spec.report import Report
from analytics_assets.warehouse.bigquery.query_reads import Lineage, NotMade, Read
from analytics_assets.warehouse.bigquery.table_sizes import Tables
from analytics_assets.warehouse.interface import between

MINIMUM = 10 * 2**20
"""Bytes that are billed at least for each table that a query names, and for a query as a whole."""

DAYS_A_YEAR = 365

LAYERS = ("staging", "intermediate", "marts", "reporting")


@dataclass(frozen=True)
class Query:
    """One statement of a day's run; each table stands once among its reads."""

    asset: str
    what: str
    reads: tuple[Read, ...]


def query_of(asset: str, what: str, reads: Iterable[Read]) -> Query:
    """A query, with all that it reads of a table as one."""
    by_table: dict[str, list[Read]] = defaultdict(list)
    for read in reads:
        by_table[read.table].append(read)
    merged = (
        Read(
            table,
            frozenset().union(*(read.columns for read in found)),
            min(read.start for read in found),
            max(read.end for read in found),
        )
        for table, found in by_table.items()
    )
    return Query(asset, what, tuple(merged))


def queries_of(
    sql: Mapping[str, str],
    manifest: Manifest,
    reports: Iterable[Report],
    tables: Tables,
    day: date,
    analyses: Iterable[Analysis] = (),
) -> list[Query]:
    """The queries that make one day of everything: MERGE, checks and count of rows of each model; those of reports.

    A report reads the table of an analysis from its file. The analysis itself reads whole rows of its days.

    What reads something that is not made yet is left out.

    Args:
        sql: what dbt compiles of the models and their tests for the day, by their unique ids.
    """
    lineage = Lineage(sql, manifest, tables, day)
    found: list[Query] = []

    def add(asset: str, what: str, text: str, *besides: Read) -> None:
        with suppress(NotMade):
            found.append(query_of(asset, what, [*besides, *lineage.reads(text)]))

    models = [node for node in manifest.models if node.has_days]
    for node in sorted(models, key=lambda one: (one.domain, _layer(one), one.name)):
        if node.name in tables:
            target = Read(node.name, frozenset(tables[node.name].columns))
            add(node.name, "merge", sql[node.unique_id], target)
        renewed = {test.unique_id for test in manifest.tests_renewed_with(node)}
        for test in manifest.tests:
            if (test.tested == node.unique_id or test.unique_id in renewed) and test.unique_id in sql:
                add(node.name, test.name, sql[test.unique_id])
        add(node.name, "count of rows", _of_days(node.relation_name, [node.day], node.day, Window.of_days(day, day)))
    for report in reports:
        window = Window.of_days(day - timedelta(report.days - 1), day)
        for file in report.files:
            for dataset in (one for part in report.parts_of(file) for one in part.datasets):
                if model := manifest.made.get(dataset.model):
                    of_rows = dataset.day or model.day
                    columns = [of_rows, *dataset.dimensions, *dataset.numbers]
                    text = _of_days(model.relation_name, columns, of_rows, window)
                    add(file.asset(report.name), dataset.model, text)
    for analysis in analyses:
        window = Window.of_days(day - timedelta(analysis.days - 1), day)
        for name in analysis.reads:
            if (model := manifest.made.get(name)) is None:
                continue  # another analysis, or broken
            if model.is_table_function:
                add(analysis.name, name, _called(sql.get(model.unique_id, ""), model.config["parameters"], window))
            elif model.has_days:
                add(analysis.name, name, _of_days(model.relation_name, model.columns, model.day, window))
            else:
                add(analysis.name, name, f"select * from {model.relation_name}")  # noqa: S608
    return found


def _called(sql: str, parameters: Iterable[str], window: Window) -> str:
    """The SQL of a table function of first and last days, each of them that of a window."""
    for name in parameters:
        if name.startswith("last"):
            sql = re.sub(rf"<= {name}\b", f"< date '{window.end}'", sql)
        day = max(window.days()) if name.startswith("last") else window.start
        sql = re.sub(rf"\b{name}\b", f"date '{day}'", sql)
    return sql


def _layer(node: ModelNode) -> tuple[bool, str | int]:
    """The folder of a model, for sorting; those that are not among LAYERS come last."""
    folder = PurePath(node.file).parts[1]
    return folder not in LAYERS, LAYERS.index(folder) if folder in LAYERS else folder


def _of_days(relation: str, columns: Iterable[str], day: str, window: Window) -> str:
    return f"select {', '.join(columns)} from {relation} where {between(day, window)}"  # noqa: S608


def bytes_read(query: Query, tables: Tables, scale: float = 1.0) -> list[float]:
    """What a query reads of each table; seeds do not grow with the volume."""
    return [
        tables[read.table].bytes_of(read.columns, read.end - read.start + 1)
        * (scale if tables[read.table].days is not None else 1.0)
        for read in query.reads
    ]


def bytes_billed(read: Iterable[float]) -> int:
    """What is billed for a query that reads so much of each table: whole MiB, and the minimum of each table."""
    return max(MINIMUM, sum(max(MINIMUM, math.ceil(size / 2**20) * 2**20) for size in read))


@dataclass(frozen=True)
class Line:
    """What an asset costs a day, in bytes; what it stores is nothing where it holds no rows of its own."""

    asset: str
    rows: float | None
    bytes_a_row: float | None
    stored: float
    queries: int
    read: float
    billed: int


@dataclass(frozen=True)
class CostEstimate:
    """What a day costs, in bytes.

    Attributes:
        lines: an asset each.
        seeds: bytes that are stored once, whatever the day.
    """

    lines: tuple[Line, ...]
    seeds: float

    @property
    def stored(self) -> float:
        """What a day adds to what is stored."""
        return sum(line.stored for line in self.lines)

    @property
    def queries(self) -> int:
        """How many queries make a day."""
        return sum(line.queries for line in self.lines)

    @property
    def read(self) -> float:
        """What they read."""
        return sum(line.read for line in self.lines)

    @property
    def billed(self) -> int:
        """What they are billed for."""
        return sum(line.billed for line in self.lines)


def cost_estimate(tables: Tables, queries: Iterable[Query], scale: float = 1.0) -> CostEstimate:
    """A day of everything, at so many times the volume."""
    by_asset: dict[str, list[list[float]]] = defaultdict(list)
    for query in queries:
        by_asset[query.asset].append(bytes_read(query, tables, scale))
    lines, seeds = [], 0.0
    for asset in (*(name for name in tables if name not in by_asset), *by_asset):
        table, reads = tables.get(asset), by_asset.get(asset, [])
        has_days = table is not None and table.days is not None
        rows = table.rows_a_day * (scale if has_days else 1.0) if table else None
        stored = rows * table.bytes_a_row if table and rows else 0.0
        seeds += 0.0 if has_days else stored
        costs = (stored if has_days else 0.0, len(reads), sum(map(sum, reads)), sum(map(bytes_billed, reads)))
        lines.append(Line(asset, rows, table.bytes_a_row if table else None, *costs))
    return CostEstimate(tuple(lines), seeds)


def price_of_query(billed: float, price: float) -> float:
    """What so many billed bytes cost at a price per TiB."""
    return billed / 2**40 * price


def price_of_storage(stored: float, price: float) -> float:
    """What so many stored bytes cost a month, at a price per GiB and month."""
    return stored / 2**30 * price
