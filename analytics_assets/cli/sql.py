"""The command that runs SQL on the published copy."""

import re
from datetime import date
from decimal import Decimal
from numbers import Number
from typing import Annotated, Any

import typer
from rich.table import Table

from analytics_assets.console.terminal import Terminal, console, line
from analytics_assets.console.words import told_plainly
from analytics_assets.settings import Settings, get_settings

ROWS_SHOWN = 200
WIDEST = 10_000  # characters of a line

commands = typer.Typer()


@commands.command()
def sql(statement: Annotated[str, typer.Argument(help="One SQL statement, in quotes.")]) -> None:
    """Run one SQL statement on the published copy: analytics-assets sql "select * from marts.mart_company_daily"."""
    with told_plainly():
        settings = get_settings()
        names, rows, others = _query(settings, statement)
        behind = _behind(settings, statement)
    table = Table(header_style="bold")
    for name, values in zip(names, zip(*rows, strict=True) if rows else [()] * len(names), strict=True):
        is_number = all(isinstance(value, Number | None) and not isinstance(value, bool) for value in values)
        table.add_column(name, justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*map(_cell, row))
    Terminal(highlight=False, width=WIDEST).print(table)  # a table wrapped to the terminal no longer lines up
    if others:
        console.print(f"{others:,} more rows are not shown; say `limit` or `where` to see others.")
    elif not rows:
        console.print("No rows.")
    for name, days in behind.items():
        said = (
            f" {name}: of the days up to {max(days)}, {len(days):,} failed or are being made; the copy holds what "
            "passed last of each, if anything did. `analytics-assets status` says why."
        )
        console.print(line(("warning:", "yellow"), said))


def _behind(settings: Settings, statement: str) -> dict[str, list[date]]:
    """The days on which the copy is behind, by public model that a statement names."""
    from analytics_assets.dbt.project import last_manifest
    from analytics_assets.defs import domains_in_use
    from analytics_assets.warehouse.published import days_behind

    manifest, calendars = last_manifest(settings), {domain.name: domain.calendar for domain in domains_in_use(settings)}
    words = set(re.findall(r"\w+", statement.lower()))
    names = [node.name for node in manifest.models if node.is_public and node.alias.lower() in words]
    return days_behind(manifest, names, settings, calendars)


def _query(settings: Settings, statement: str) -> tuple[list[str], list[tuple[Any, ...]], int]:
    """The column names and first rows of a statement's result, and how many more rows it has."""
    import duckdb

    from analytics_assets.warehouse.duckdb.warehouse import IF_COPY_IS_DAMAGED, opened

    if settings.warehouse == "bigquery":
        raise ValueError("the warehouse is BigQuery, which is asked with `bq query` or in its console")
    if not settings.published_file.exists():
        raise ValueError("there is no published copy yet; `analytics-assets materialize --new` makes it")
    with opened(
        settings.published_file,
        IF_COPY_IS_DAMAGED,
        read_only=True,
        config={"enable_external_access": "false", "memory_limit": settings.duckdb_memory_limit},
    ) as connection:
        try:
            if len(connection.extract_statements(statement)) != 1:
                raise ValueError("say one statement")
            found = connection.execute(statement)
            rows = found.fetchmany(ROWS_SHOWN)
            others = sum(len(some) for some in iter(lambda: found.fetchmany(10_000), []))
        except duckdb.Error as error:
            raise ValueError(str(error).split("\n\nLINE ")[0]) from error
        return [column[0] for column in found.description or []], rows, others


def _cell(value: object) -> str:
    """A value as text; decimals without trailing zeros, which show only the scale of the column."""
    if value is None:
        return ""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
