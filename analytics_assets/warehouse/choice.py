"""Chooses the warehouse by the settings."""

from analytics_assets.settings import Settings
from analytics_assets.warehouse.interface import Warehouse


def warehouse_of(settings: Settings) -> Warehouse:
    """The warehouse that the settings choose."""
    if settings.warehouse == "bigquery":
        from analytics_assets.warehouse.bigquery.warehouse import BigQueryWarehouse  # Google's libraries take seconds

        return BigQueryWarehouse(settings)
    from analytics_assets.warehouse.duckdb.warehouse import DuckDBWarehouse

    return DuckDBWarehouse(settings)
