"""What a day would cost on BigQuery."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from analytics_assets.console.terminal import console
from analytics_assets.console.words import as_bytes, told_plainly
from analytics_assets.settings import Settings, get_settings

if TYPE_CHECKING:
    from analytics_assets.warehouse.bigquery.cost_estimate import CostEstimate

commands = typer.Typer()


@commands.command("cost-estimate")
def estimate_costs(
    scale: Annotated[float, typer.Option(min=0.001, help="So many times the volume that there is.")] = 1.0,
    price: Annotated[
        float, typer.Option(min=0, help="Of a TiB that on-demand queries are billed for; that of the US multi-region.")
    ] = 6.25,
    storage_price: Annotated[
        float, typer.Option(min=0, help="Of a GiB of active logical storage for a month; likewise.")
    ] = 0.02,
    currency: Annotated[str, typer.Option(help="Of both prices.")] = "USD",
) -> None:
    """On paper: what a day and a year of what is in DuckDB now would read, store and cost on BigQuery."""
    from analytics_assets.warehouse.bigquery.cost_estimate import (
        DAYS_A_YEAR,
        MINIMUM,
        price_of_query,
        price_of_storage,
    )

    with told_plainly():
        found = _cost_estimate(get_settings().model_copy(update={"warehouse": "duckdb"}), scale)
    table = Table("asset", title="A day on BigQuery, on paper", title_justify="left", header_style="bold")
    for heading in ("rows", "bytes a row", "stored", "queries", "read", "billed"):
        table.add_column(heading, justify="right")
    for one in found.lines:
        table.add_row(
            one.asset,
            "" if one.rows is None else f"{one.rows:,.0f}",
            "" if one.bytes_a_row is None else f"{one.bytes_a_row:,.0f}",
            as_bytes(one.stored) if one.stored else "",
            f"{one.queries:,}" if one.queries else "",
            as_bytes(one.read) if one.queries else "",
            as_bytes(one.billed) if one.queries else "",
        )
    table.add_section()
    table.add_row(
        "all", "", "", as_bytes(found.stored), f"{found.queries:,}", as_bytes(found.read), as_bytes(found.billed)
    )
    console.print(table)

    def money(amount: float) -> str:
        return f"{amount:,.2f} {currency}"

    day, year = price_of_query(found.billed, price), price_of_query(found.billed * DAYS_A_YEAR, price)
    stored = found.seeds + found.stored * DAYS_A_YEAR
    month = price_of_storage(stored, storage_price)
    for sentence in (
        f"On paper, at {scale:,.10g} times the volume that there is, and {price:g} {currency} a TiB:",
        f"A day reads {as_bytes(found.read)} in {found.queries:,} queries. At least {as_bytes(MINIMUM)} are billed for "
        f"each table that a query names: {as_bytes(found.billed)}, which costs {money(day)}.",
        f"A year reads {as_bytes(found.read * DAYS_A_YEAR)}, is billed for {as_bytes(found.billed * DAYS_A_YEAR)} and "
        f"costs {money(year)}. What is free of charge in each month is not taken off.",
        f"A day stores {as_bytes(found.stored)}; its load jobs cost nothing. After a year that is {as_bytes(stored)}, "
        f"which costs {money(month)} a month at {storage_price:g} {currency} a GiB, and {money(month * 12 / 2)} for "
        "the year in which it gathers.",
        "A day that is made again costs as much as a day. Of Google nothing was asked: what a query was really billed "
        "for is in the metadata of each run.",
    ):
        console.print(sentence)


commands.command("bytes", hidden=True)(estimate_costs)  # its name until 0.2


def _cost_estimate(settings: Settings, scale: float) -> "CostEstimate":
    """Of what is in DuckDB, whichever warehouse is in use."""
    from analytics_assets.build import open_project
    from analytics_assets.dbt.dry_run import compiled
    from analytics_assets.defs import find_domains
    from analytics_assets.partitions import Window
    from analytics_assets.warehouse.bigquery.cost_estimate import cost_estimate, queries_of
    from analytics_assets.warehouse.bigquery.table_sizes import measure

    project = open_project(settings, find_domains())
    tables = measure(settings, project.manifest, project.sources)
    day = settings.start_date  # any does
    run = compiled([node.name for node in project.manifest.models], Window.of_days(day, day), project)
    sql = {result.unique_id: result.sql or "" for result in run.results}
    reports = [report for domain in project.domains for report in domain.reports]
    queries = queries_of(sql, project.manifest, reports, tables, day, project.analyses.values())
    return cost_estimate(tables, queries, scale)
