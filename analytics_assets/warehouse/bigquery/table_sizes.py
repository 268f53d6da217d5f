"""What the tables that are here would weigh on BigQuery, by the sizes of Google's page "Data types".

What a query reads of them is not known here.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import duckdb

from analytics_assets.settings import Settings
from analytics_assets.spec.model_node import Manifest
from analytics_assets.spec.source import Source
from analytics_assets.warehouse.duckdb.warehouse import IF_DAMAGED, opened

DAY_OF_RAW = "_day"

_EIGHT = (
    "BIGINT", "INTEGER", "SMALLINT", "TINYINT", "UBIGINT", "UINTEGER", "DOUBLE", "FLOAT", "DATE", "TIME", "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE",
)  # fmt: skip

SIZES = {**dict.fromkeys(_EIGHT, 8), "DECIMAL": 16, "BOOLEAN": 1}
"""Logical bytes of a value that is not null, by DuckDB's name of the type that BigQuery has another name for."""

TEXT_SIZE = 2
"""Logical bytes of a text besides those of its UTF-8; a null of any type has none."""


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


def measure(settings: Settings, manifest: Manifest, sources: Iterable[Source]) -> dict[str, Table]:
    """The tables of the DuckDB warehouse and the raw days of the lake, by the names of their assets.

    Raises:
        ValueError: nothing is made yet.
        TypeError: a column is of a type of which no size is known.
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
        for node in sorted(manifest.made.values(), key=lambda node: node.is_model):
            schemas = connection.execute(
                "select schema_name from duckdb_tables() where table_name = ? order by schema_name != ?",
                [node.alias, node.schema],
            ).fetchall()
            if schemas and node.holds_rows:
                relation = connection.table(f'"{schemas[0][0]}"."{node.alias}"')
                found[node.name] = _measured(relation, node.day if node.has_days else None)
    return found


def _measured(relation: duckdb.DuckDBPyRelation, day: str | None) -> Table:
    sizes = [_size(name, str(type_)) for name, type_ in zip(relation.columns, relation.types, strict=True)]
    days = f'count(distinct "{day}")' if day else "null"
    row = relation.aggregate(", ".join(["count(*)", days, *sizes])).fetchone()
    rows, number_of_days, *columns = row or (0, None)
    named = zip(relation.columns, columns, strict=True)
    return Table(rows, number_of_days, {name.lower(): int(size or 0) for name, size in named})


def _size(column: str, type_: str) -> str:
    """The SQL of what a column weighs in all rows."""
    quoted = '"' + column.replace('"', '""') + '"'
    if type_ == "VARCHAR":
        return f"sum({TEXT_SIZE} + strlen({quoted}))"
    name = type_.partition("(")[0]
    if name not in SIZES:
        raise TypeError(f"column {column} is of type {type_}, of which no size is known; see {__name__}")
    return f"count({quoted}) * {SIZES[name]}"
