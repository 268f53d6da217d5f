"""On paper: what a day of the project would read, bill and store on BigQuery, by the sizes that rows have here.

Nothing is asked of Google. Sizes are those of its page "Data types", the minimum is that of "BigQuery pricing", and
what a MERGE reads is that of "Data manipulation language (DML) statements in GoogleSQL". Everything errs upwards:

- a column counts as read where its name stands in the SQL or in a macro that the SQL uses;
- a day is made again, so that the MERGE also reads the whole day that it replaces;
- checks that look back find all the days that they look for, and so do reports.

A table counts once in a query, however often the SQL names it. Load jobs, and the making of views, cost nothing.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from analytics_assets.settings import Settings
from analytics_assets.spec.model_node import HOLDS_NO_ROWS
from analytics_assets.spec.report import Report
from analytics_assets.spec.source import Source
from analytics_assets.warehouse.duckdb.warehouse import IF_DAMAGED, opened

MINIMUM = 10 * 2**20
"""Bytes that are billed at least for each table that a query names, and for a query as a whole."""

DAYS_A_YEAR = 365

DAY_OF_RAW = "_day"

LAYERS = ("staging", "intermediate", "marts", "reporting")

SIZES = {
    "BIGINT": 8,
    "INTEGER": 8,
    "SMALLINT": 8,
    "TINYINT": 8,
    "UBIGINT": 8,
    "UINTEGER": 8,
    "DOUBLE": 8,
    "FLOAT": 8,
    "DATE": 8,
    "TIME": 8,
    "TIMESTAMP": 8,
    "TIMESTAMP WITH TIME ZONE": 8,
    "DECIMAL": 16,
    "BOOLEAN": 1,
}
"""Logical bytes of a value that is not null, by DuckDB's name of the type that BigQuery has another name for."""

TEXT_SIZE = 2
"""Logical bytes of a text besides those of its UTF-8; a null of any type has none."""

LOOK_BEYOND = {
    "usual_volume": lambda arguments: (-7 * int(arguments.get("weeks", 8)), 0),
    "key_on_one_day": lambda arguments: (-int(arguments.get("days", 7)), int(arguments.get("days", 7))),
}
"""The generic tests that read more days of their model than those that were made: from which to which."""


# -------------------------------------------------------------------------------------------------------- tables


@dataclass(frozen=True)
class Table:
    """What a table holds.

    Attributes:
        rows: in all of it.
        days: that have rows; none where rows have no day.
        columns: the logical bytes of each, in all rows.
    """

    rows: int
    days: int | None
    columns: Mapping[str, int]

    @property
    def bytes_a_row(self) -> float:
        """Of all columns, in the mean."""
        return sum(self.columns.values()) / self.rows if self.rows else 0.0

    @property
    def rows_a_day(self) -> float:
        """In the mean of the days that have rows; of a table without days, all."""
        return self.rows / self.days if self.days else float(self.rows)

    def bytes_of(self, columns: Collection[str], days: int) -> float:
        """What some columns of so many days weigh; of a table without days, of all rows."""
        total = sum(size for name, size in self.columns.items() if name in columns)
        return total * days / self.days if self.days else float(total)


Tables = Mapping[str, Table]


def measure(settings: Settings, manifest: Mapping[str, Any], sources: Iterable[Source]) -> dict[str, Table]:
    """The tables of the DuckDB warehouse and the raw days of the lake, by the names of their assets.

    Raises:
        ValueError: nothing is made yet.
    """
    found: dict[str, Table] = {}
    if not settings.warehouse_file.exists():
        raise ValueError(
            "nothing is made in DuckDB; `analytics-assets materialize --new` does that, with ANALYTICS_WAREHOUSE=duckdb"
        )
    config = {"file_search_path": str(settings.raw_dir)}  # whose characters all mean themselves
    with opened(settings.warehouse_file, IF_DAMAGED, read_only=True, config=config) as connection:
        for source in sources:
            name = source.raw_asset
            if any((settings.raw_dir / name).glob("*/data.parquet")):
                relation = connection.read_parquet(f"{name}/*/data.parquet", hive_partitioning=True, union_by_name=True)
                found[name] = _measured(relation, DAY_OF_RAW)
        for node in _made(manifest):
            schemas = connection.execute(
                "select schema_name from duckdb_tables() where table_name = ? order by schema_name != ?",
                [node["alias"], node["schema"]],
            ).fetchall()
            if schemas:
                relation = connection.table(f'"{schemas[0][0]}"."{node["alias"]}"')
                found[node["name"]] = _measured(relation, node["config"]["meta"].get("day"))
    return found


def _measured(relation: duckdb.DuckDBPyRelation, day: str | None) -> Table:
    sizes = [_size(name, str(type_)) for name, type_ in zip(relation.columns, relation.types, strict=True)]
    days = f'count(distinct "{day}")' if day else "null"
    row = relation.aggregate(", ".join(["count(*)", days, *sizes])).fetchone()
    rows, number_of_days, *columns = row or (0, None)
    named = zip(relation.columns, columns, strict=True)
    return Table(rows, number_of_days, {name.lower(): int(size or 0) for name, size in named})


def _size(column: str, type_: str) -> str:
    """The SQL of what a column weighs in all rows.

    Raises:
        TypeError: it is of a type that BigQuery's sizes are not known for here.
    """
    quoted = '"' + column.replace('"', '""') + '"'
    if type_ == "VARCHAR":
        return f"sum({TEXT_SIZE} + strlen({quoted}))"
    name = type_.partition("(")[0]
    if name not in SIZES:
        raise TypeError(f"column {column} is of type {type_}, of which no size is known; see warehouse/paper.py")
    return f"count({quoted}) * {SIZES[name]}"


def _made(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The lookups and models that hold rows."""
    nodes = manifest["nodes"].values()
    yield from (node for node in nodes if node["resource_type"] == "seed")
    for node in nodes:
        if node["resource_type"] == "model" and node["config"]["materialized"] not in HOLDS_NO_ROWS:
            yield node


# ------------------------------------------------------------------------------------------------------- queries


@dataclass(frozen=True)
class Read:
    """What a query reads of a table: some columns of the days from `start` to `end`, counted from the day it is for."""

    table: str
    columns: frozenset[str]
    start: int = 0
    end: int = 0

    def moved(self, start: int, end: int) -> "Read":
        """The same, for a query that needs the days from `start` to `end` of this one."""
        return Read(self.table, self.columns, self.start + start, self.end + end)


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


def bytes_read(query: Query, tables: Tables, scale: float = 1.0) -> list[float]:
    """What a query reads of each table; lookups do not grow with the volume."""
    return [
        tables[read.table].bytes_of(read.columns, read.end - read.start + 1)
        * (scale if tables[read.table].days is not None else 1.0)
        for read in query.reads
    ]


def bytes_billed(read: Iterable[float]) -> int:
    """What is billed for a query that reads so much of each table: whole MiB, and the minimum of each table."""
    return max(MINIMUM, sum(max(MINIMUM, math.ceil(size / 2**20) * 2**20) for size in read))


def queries_of(
    manifest: Mapping[str, Any], sources: Iterable[Source], reports: Iterable[Report], tables: Tables
) -> list[Query]:
    """The queries that make one day of everything: MERGE, checks and count of rows of each model; those of reports."""
    project = _Project(manifest, sources, tables)
    found = [
        query
        for node in project.models
        if ("day" in node["config"]["meta"])
        for query in project.queries_of_model(node)
    ]
    for report in reports:
        for ending in ("dashboard", "workbook"):
            for dataset in report.datasets:
                day = project.node(dataset.model)["config"]["meta"]["day"]
                columns = {day, *dataset.dimensions, *dataset.numbers}
                reads = project.reads(dataset.model, columns, 1 - report.days, 0)
                found.append(query_of(f"{report.name}_{ending}", dataset.model, reads))
    return found


class _Project:
    """The graph of the manifest, as far as it says what reads what."""

    def __init__(self, manifest: Mapping[str, Any], sources: Iterable[Source], tables: Tables) -> None:
        self._manifest, self._tables = manifest, tables
        self._sources = {source.name: source for source in sources}
        nodes = manifest["nodes"].values()
        models = (node for node in nodes if node["resource_type"] == "model")
        self.models = sorted(models, key=lambda node: (node["fqn"][2], LAYERS.index(node["fqn"][1]), node["name"]))
        self._tests: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for node in nodes:
            if node["resource_type"] == "test" and node.get("attached_node"):
                self._tests[node["attached_node"]].append(node)

    def node(self, model: str) -> Mapping[str, Any]:
        return next(node for node in self.models if node["name"] == model)

    def queries_of_model(self, node: Mapping[str, Any]) -> Iterator[Query]:
        """The statements of a day's run that are for one model."""
        name, day = node["name"], node["config"]["meta"]["day"]
        if node["config"]["materialized"] not in HOLDS_NO_ROWS:
            target = Read(name, frozenset(self._tables[name].columns))
            yield query_of(name, "merge", [target, *self._reads_of(node)])
        for test in self._tests[node["unique_id"]]:
            yield query_of(name, test["name"], self._reads_of_test(node, test))
        yield query_of(name, "count of rows", self.reads(name, {day}, 0, 0))

    def reads(self, name: str, columns: Collection[str], start: int, end: int) -> Iterator[Read]:
        """What is read by whoever reads some columns of a model or lookup; of a view, what the view reads."""
        if name in self._tables:
            named = {column.lower() for column in columns}
            there = frozenset(column for column in self._tables[name].columns if column in named)
            yield Read(name, there, start, end)
        else:
            for read in self._reads_of(self.node(name)):
                yield read.moved(start, end)

    def _reads_of(self, node: Mapping[str, Any]) -> Iterator[Read]:
        """What a model's own SQL reads of its upstream tables."""
        # What it hands on with `*` and does not name stands among its own columns.
        words = self._words(node) | self._columns(node)
        for parent in node["depends_on"]["nodes"]:
            if parent.startswith("source."):
                source = self._sources[self._manifest["sources"][parent]["name"]]
                yield from self._reads_of_raw(source, words | {column.lower() for column in source.columns})
            else:
                upstream = self._manifest["nodes"][parent]["name"]
                start, end = node["config"]["meta"].get("window", {}).get(upstream, (0, 0))
                yield from self.reads(upstream, words, start, end)

    def _columns(self, node: Mapping[str, Any]) -> set[str]:
        """The columns of a model: of a view, those that its yml names."""
        there = self._tables.get(node["name"])
        return set(there.columns) if there else {column.lower() for column in node["columns"]}

    def _reads_of_raw(self, source: Source, columns: Collection[str]) -> Iterator[Read]:
        yield from self.reads(source.raw_asset, columns, 0, 0)

    def _reads_of_test(self, node: Mapping[str, Any], test: Mapping[str, Any]) -> Iterator[Read]:
        meta, rule = node["config"]["meta"], test["test_metadata"]["name"]
        arguments = test["test_metadata"]["kwargs"]
        words = self._words(test) | _words(json.dumps(arguments)) | _words(str(test["config"].get("where") or ""))
        words |= _words(json.dumps(meta.get("adds_up", {}))) if rule == "adds_up" else set()
        start, end = LOOK_BEYOND.get(rule, lambda _: (0, 0))(arguments)
        yield from self.reads(node["name"], words | {meta["day"]}, start, end)
        if rule == "adds_up":
            yield from self._reads_of_sums(meta, words)
        if rule == "relationships":
            for parent in test["depends_on"]["nodes"]:
                if parent != node["unique_id"]:
                    other = self._manifest["nodes"][parent]
                    its_day = other["config"]["meta"].get("day")
                    yield from self.reads(other["name"], {arguments["field"], *([its_day] if its_day else ())}, 0, 0)

    def _reads_of_sums(self, meta: Mapping[str, Any], words: set[str]) -> Iterator[Read]:
        """What `adds_up` holds a model against."""
        rule = meta["adds_up"]
        if raw := rule.get("rows_of_raw") or rule.get("keys_of_raw"):
            source = self._sources[raw]
            key = {*source.primary_key, *source.whole, *(step.column for step in source.dedup_steps)}
            yield from self._reads_of_raw(source, {DAY_OF_RAW, *(key if "keys_of_raw" in rule else ())})
        else:
            upstream = rule.get("rows_of") or rule["measures_of"]
            offsets = meta.get("window", {}).get(upstream, (0, 0)) if "counted_on" in rule else (0, 0)
            day = self.node(upstream)["config"]["meta"]["day"]
            yield from self.reads(upstream, words | {day}, *offsets)

    def _words(self, node: Mapping[str, Any]) -> set[str]:
        """All words of a model's or test's SQL, and of the project's macros that it uses."""
        macros = self._manifest["macros"]
        own = {name: macro for name, macro in macros.items() if macro["package_name"] == node["package_name"]}
        texts, found = [node["raw_code"]], set()
        waiting = list(node["depends_on"]["macros"])
        while waiting:
            name = waiting.pop()
            if name in own and name not in found:
                found.add(name)
                texts.append(own[name]["macro_sql"])
                waiting += own[name]["depends_on"]["macros"]
                waiting += [other for other in own if own[other]["name"].endswith(f"__{own[name]['name']}")]
        return set().union(*map(_words, texts))


def _words(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"\w+", text)}


# --------------------------------------------------------------------------------------------------------- paper


@dataclass(frozen=True)
class Line:
    """An asset on paper; what it stores is nothing where it holds no rows of its own."""

    asset: str
    rows: float | None
    bytes_a_row: float | None
    stored: float
    queries: int
    read: float
    billed: int


@dataclass(frozen=True)
class Paper:
    """A day of the project on paper, in bytes.

    Attributes:
        lines: an asset each.
        lookups: bytes that are stored once, whatever the day.
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


def paper(tables: Tables, queries: Iterable[Query], scale: float = 1.0) -> Paper:
    """A day of everything, at so many times the volume."""
    found = list(queries)
    unqueried = set(tables) - {query.asset for query in found}
    by_asset: dict[str, list[list[float]]] = {name: [] for name in tables if name in unqueried}
    for query in found:
        by_asset.setdefault(query.asset, []).append(bytes_read(query, tables, scale))
    lines, lookups = [], 0.0
    for asset, reads in by_asset.items():
        table = tables.get(asset)
        rows = table.rows_a_day * (scale if table.days is not None else 1.0) if table else None
        stored = rows * table.bytes_a_row if table and rows else 0.0
        if table and table.days is None:
            lookups += stored
            stored = 0.0
        lines.append(
            Line(
                asset,
                rows,
                table.bytes_a_row if table else None,
                stored,
                len(reads),
                sum(map(sum, reads)),
                sum(map(bytes_billed, reads)),
            )
        )
    return Paper(tuple(lines), lookups)


def price_of_query(billed: float, price: float) -> float:
    """What so many billed bytes cost at a price per TiB."""
    return billed / 2**40 * price


def price_of_storage(stored: float, price: float) -> float:
    """What so many stored bytes cost a month, at a price per GiB and month."""
    return stored / 2**30 * price


def as_bytes(size: float) -> str:
    """A number of bytes as people read it, in the units that are billed."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    power = min(int(math.log(size, 1024)), len(units) - 1) if size >= 1 else 0
    return f"{size / 1024**power:,.{0 if power == 0 else 1}f} {units[power]}"
