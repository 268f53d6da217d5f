"""A mart of a model that there is, and a report of a mart that there is: from what the yml says of their columns."""

import re
from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl
from polars.datatypes import DataTypeClass

from analytics_assets.partitions import UTC_DAYS, Calendar
from analytics_assets.scaffold.columns import AMOUNT, TIME
from analytics_assets.scaffold.keys import is_of_id, is_sum
from analytics_assets.scaffold.marts import (
    FEWEST_ROWS_SHOWN,
    FIRST_SHOWN,
    Mart,
    Summed,
    exposure_of,
    report_of,
    sql_of,
    summed,
    yml_of,
)
from analytics_assets.scaffold.names import title_of
from analytics_assets.spec.model_node import Manifest, ModelNode

TYPES = {"bigint": True, "decimal(38, 9)": False}
"""The types that add up, and whether they are whole."""

DUCKDB_TYPES: Mapping[pl.DataType | DataTypeClass, str] = {
    pl.String: "varchar",
    pl.Int64: "bigint",
    pl.Float64: "double",
    pl.Boolean: "boolean",
    pl.Date: "date",
    AMOUNT: "decimal(38, 9)",
    TIME: "timestamp",
}

USUAL_REPORT = 90  # days, where the history has no end

_OF_SPLITS = ("varchar", "boolean")


def mart_files(
    name: str, manifest: Manifest, types: Mapping[str, str], of: str, by: Sequence[str], sums: Sequence[str], owner: str
) -> dict[str, str]:
    """The files of a mart, by their path below the project.

    Args:
        types: the columns of the model, with their types as DuckDB writes them.
        of: the model.
        by: its columns to split by.
        sums: its columns to sum.

    Raises:
        ValueError: there is no such model or column, or a column does not add up.
    """
    node = model_of(manifest, of)
    for what, columns, fit in (("--by", by, ("date", *_OF_SPLITS, *TYPES)), ("--sum", sums, tuple(TYPES))):
        if unknown := [column for column in columns if column not in types]:
            raise ValueError(f"{what} names {', '.join(unknown)}; {of} has {', '.join(types)}")
        if odd := [column for column in columns if types[column] not in fit]:
            raise ValueError(
                f"{what} names {odd[0]}, which is a {types[odd[0]]}; it can name columns of the types {', '.join(fit)}"
                + ("" if what == "--by" else ": cast it in the model, with type_amount() or type_count()")
            )
    if node.day in by:
        raise ValueError(f"--by names {node.day}, by which each mart is split anyway")
    mart = Mart(
        name,
        title_of(name.removeprefix("mart_").removesuffix("_daily")),
        node.domain,
        owner,
        of,
        node.day,
        {column: types[column] for column in by},
        {column: _description(node, column) for column in by},
        summed([(column, TYPES[types[column]], not is_sum(column)) for column in sums], [*by, node.day]),
        # how many rows a day has is not known here: as in the other marts of the domain
        has_volume=any(
            test.rule == "usual_volume" and test.tested and manifest.nodes[test.tested].domain == node.domain
            for test in manifest.tests
        ),
    )
    folder = f"dbt_project/models/marts/{node.domain}"
    return {f"{folder}/{name}.sql": sql_of(mart), f"{folder}/_{name}.yml": yml_of(mart)}


def report_files(
    name: str,
    manifest: Manifest,
    types: Mapping[str, str],
    of: str,
    title: str,
    owner: str,
    calendar: Calendar = UTC_DAYS,
    *,
    opens_on_all: bool = False,
) -> dict[str, str]:
    """The files of a report, by their path below the project.

    Args:
        calendar: the days of the mart's domain: of a history that has ended, the report shows all.
        opens_on_all: whether its page opens on all days, as the domain's other reports do.

    Raises:
        ValueError: there is no such mart, or nothing in it adds up.
    """
    node = model_of(manifest, of)
    if not node.is_published:
        raise ValueError(f"{of} is not public, and reports read public models: it needs access: public, as marts have")
    split = split_by(manifest, node)
    by = {
        column: dtype
        for column, dtype in types.items()
        if column in split or (dtype in _OF_SPLITS and not is_of_id(column))
    }
    numbers = [
        column for column, dtype in types.items() if dtype in TYPES and not is_of_id(column) and column not in by
    ]
    pairs = {
        column: (f"total_{column}", f"rows_with_{column}")
        for column in (one.removeprefix("total_") for one in numbers if one.startswith("total_"))
        if f"rows_with_{column}" in numbers
    }
    sums = [
        Summed(column, total, rows, TYPES[types[total]], not is_sum(column)) for column, (total, rows) in pairs.items()
    ]
    in_pairs = {name for pair in pairs.values() for name in pair}
    counts = tuple(column for column in numbers if column not in in_pairs)
    if not counts and not sums:
        raise ValueError(f"nothing in {of} adds up: its yml names no column of the type {' or '.join(TYPES)}")
    flags = {column: ("true", "false") for column, dtype in by.items() if dtype == "boolean"}
    mart = Mart(of, title_of(node.domain), node.domain, owner, of, node.day, by, {}, sums, counts, flags=flags)
    days = USUAL_REPORT
    if calendar.first and calendar.last:
        days = (calendar.last - calendar.first).days + 1
    notes = ("Means are ratios of sums over what is selected, never means of means.",)
    return {
        f"analytics_assets/defs/{node.domain}/{name}.py": report_of(
            mart, name, title, days, {}, notes, opens_on_all=opens_on_all
        ),
        f"dbt_project/models/marts/{node.domain}/_exposure_of_{name}.yml": exposure_of(mart, name, title),
    }


def has_few_rows(rows_by_day: Mapping[date, int]) -> bool:
    """Whether the newest days of a mart, on which a page opens, have so few rows that it should open on all."""
    newest = max(rows_by_day, default=date.min)
    shown = sum(rows for day, rows in rows_by_day.items() if (newest - day).days < FIRST_SHOWN)
    return 0 < shown < FEWEST_ROWS_SHOWN


def model_of(manifest: Manifest, name: str) -> ModelNode:
    """A model with days, by its name.

    Raises:
        ValueError: there is none.
    """
    with_days = {node.name: node for node in manifest.models if node.has_days}
    if name not in with_days:
        raise ValueError(f"--of {name}: there is no such model with days; there is {', '.join(sorted(with_days))}")
    return with_days[name]


def split_by(manifest: Manifest, node: ModelNode) -> list[str]:
    """The columns, beside the day, by which the rows of a model are told apart: those of its `unique_together` test."""
    return [
        column
        for test in manifest.tests
        if test.tested == node.unique_id and test.rule == "unique_together"
        for column in test.arguments["columns"]
        if column != node.day
    ]


def types_in_yml(node: ModelNode) -> dict[str, str]:
    """The columns whose type the yml of a model says, as DuckDB writes it."""
    known = {name: str(column.get("data_type") or "").lower() for name, column in node.columns.items()}
    return {name: re.sub(r",\s*", ", ", dtype) for name, dtype in known.items() if dtype}


def types_of(rows: pl.DataFrame) -> dict[str, str]:
    """The columns of rows of a model, with their types as DuckDB writes them."""
    return {column: DUCKDB_TYPES.get(dtype, str(dtype)) for column, dtype in rows.schema.items()}


def _description(node: ModelNode, column: str) -> str:
    said = node.columns.get(column, {}).get("description") or ""
    return said if len(said) < 200 and "{" not in said else f"As in {node.name}."
