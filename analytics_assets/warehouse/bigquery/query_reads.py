"""Which columns of which days a query reads, by its SQL as dbt compiles it for DuckDB.

sqlglot says where a column comes from, and leaves out what nobody asks for. What is added here are the days: those that
a filter of the form `day >= date '…' and day < date '…'` leaves, through views, CTEs and subqueries. It is taken for
granted that the filter goes through the window functions of a view. What a read weighs or costs is not known here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import PurePath
from typing import cast

from sqlglot import exp, parse_one
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from analytics_assets.partitions import Window
from analytics_assets.spec.model_node import Manifest
from analytics_assets.warehouse.bigquery.table_sizes import DAY_OF_RAW, Tables


@dataclass(frozen=True)
class Read:
    """What a query reads of a table: some columns of the days from `start` to `end`, counted from the day it is for."""

    table: str
    columns: frozenset[str]
    start: int = 0
    end: int = 0


class NotMade(Exception):
    """A table holds no rows yet."""


class Lineage:
    """What queries read, by their SQL.

    Args:
        sql: what dbt compiles of the models, by their unique ids.
        day: that queries are for.
    """

    def __init__(self, sql: Mapping[str, str], manifest: Manifest, tables: Tables, day: date) -> None:
        self._tables, self._day = tables, day
        self._nodes = {node.alias: node for node in manifest.made.values()}
        self._views = {node.name: sql.get(node.unique_id, "") for node in manifest.models if not node.holds_rows}
        self._day_columns = {node.name: node.day for node in manifest.models if node.has_days}
        self._schema: dict[str, object] = {
            "here": {name: dict.fromkeys(table.columns, "unknown") for name, table in tables.items()}
        }

    def reads(self, text: str) -> Iterator[Read]:
        """What a query reads of each table that it names.

        Raises:
            NotMade: one of them is not there.
            sqlglot.errors.SqlglotError: it cannot be understood.
        """
        query = qualify(self._down_to_tables(text), schema=self._schema, dialect="duckdb")
        scope = build_scope(pushdown_projections(query))
        return self._reads(scope, {}) if scope else iter(())

    def _down_to_tables(self, text: str) -> exp.Query:
        """A query with the SQL of views in their places, and tables by the names of their assets.

        Names without a schema are those of its own CTEs.
        """
        query = cast(exp.Query, parse_one(text, dialect="duckdb"))
        for unknown in list(query.find_all(exp.Anonymous)):
            # To sqlglot it might give several rows, so that it would be kept, though nobody asks for what it gives.
            unknown.replace(exp.array(*unknown.expressions))
        for found in list(query.find_all(exp.Table)):
            if isinstance(found.this, exp.ReadParquet):
                name = PurePath(found.this.expressions[0].name).parts[0]
            elif found.db:
                name = self._nodes[found.name].name
            else:
                continue
            alias = found.alias or name
            if name in self._tables:
                found.replace(exp.table_(name, db="here", alias=alias))
            elif name in self._views:
                found.replace(self._down_to_tables(self._views[name]).subquery(alias))
            else:
                raise NotMade(name)
        return query

    def _reads(self, scope: Scope, asked: Mapping[str, Window]) -> Iterator[Read]:
        """What a query, or a part of one, reads.

        Args:
            asked: the days that are kept of what it gives, by the column of which.
        """
        kept: dict[tuple[str, str], Window] = {}
        for one in scope.expression.selects if isinstance(scope.expression, exp.Select) else ():
            if one.alias_or_name in asked and isinstance(column := one.unalias(), exp.Column):
                kept[column.table, column.name] = asked[one.alias_or_name]
        kept |= _filters(scope)
        for part in scope.set_operation_scopes:
            yield from self._reads(part, asked)
        for part in scope.subquery_scopes:
            yield from self._reads(part, {})
        for alias, (_, source) in scope.selected_sources.items():
            days = {column: window for (table, column), window in kept.items() if table == alias}
            if isinstance(source, Scope):
                yield from self._reads(source, days)
            else:
                columns = frozenset(column.name for column in scope.source_columns(alias))
                yield self._read(source.name, columns, days)

    def _read(self, name: str, columns: frozenset[str], days: Mapping[str, Window]) -> Read:
        held = self._tables[name].days
        if held is None:
            return Read(name, columns)
        window = days.get(self._day_columns.get(name, DAY_OF_RAW))
        if window is None:
            return Read(name, columns, 1 - held)
        is_open = window.start == date.min  # such a span begins with the first day that there is
        start = 1 - held if is_open else (window.start - self._day).days
        return Read(name, columns, start, (window.end - self._day).days - 1)


def _filters(scope: Scope) -> dict[tuple[str, str], Window]:
    """The days that `column >= date and column < date` leave, by table and column."""
    where = scope.expression.args.get("where")
    edges: dict[type[exp.Expr], dict[tuple[str, str], date]] = {exp.GTE: {}, exp.LT: {}}
    for one in (where.this.flatten() if isinstance(where.this, exp.And) else [where.this]) if where else ():
        column, edge = one.this, one.expression
        if type(one) in edges and isinstance(column, exp.Column) and isinstance(edge, exp.Cast):
            edges[type(one)][column.table, column.name] = date.fromisoformat(edge.this.name)
    both = edges[exp.GTE].keys() & edges[exp.LT].keys()
    return {column: Window(edges[exp.GTE][column], edges[exp.LT][column]) for column in both}
