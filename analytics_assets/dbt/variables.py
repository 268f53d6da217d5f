"""What the dbt project is told with every run: its variables."""

from collections.abc import Iterable
from typing import Any

import polars as pl

from analytics_assets.partitions import Window
from analytics_assets.settings import Settings
from analytics_assets.spec.source import PolarsType, Source
from analytics_assets.warehouse.choice import warehouse_of


def source_vars(sources: Iterable[Source]) -> dict[str, Any]:
    """What the macros need to know of the sources' specs: primary key, dedup order and columns of each.

    What most sources do without is named only where there is some: models that read the others stay as they are.
    """
    return {
        source.name: {
            "primary_key": list(source.primary_key),
            "dedup_order": [[w.column, "desc" if w.largest else "asc"] for w in source.dedup_steps],
            "columns": list(source.columns),
            "kinds": {name: kind for name, dtype in source.columns.items() if (kind := _kind(dtype))},
            **({"whole": list(source.whole)} if source.whole else {}),
        }
        for source in sources
    }


def _kind(dtype: PolarsType) -> str | None:
    """What kind of values warehouses write differently, as macros/sources.sql calls it; None for all others."""
    if isinstance(dtype, pl.Decimal) and dtype.scale:
        return "decimal"
    return "fraction" if dtype.is_float() else "time" if dtype == pl.Datetime else None


def window_vars(window: Window) -> dict[str, str]:
    """The window as dbt variables; `window_end` is the first day after it."""
    return {"window_start": window.start.isoformat(), "window_end": window.end.isoformat()}


def project_vars(settings: Settings, sources: Iterable[Source]) -> dict[str, Any]:
    """Everything else that the project's models, macros and profile are told."""
    return {
        **parse_vars(settings),
        **warehouse_of(settings).variables(),
        "first_day": settings.start_date.isoformat(),
        "last_day": settings.end_date.isoformat() if settings.end_date else None,
        "raw_dir": str(settings.raw_dir),
        "sources": source_vars(sources),
    }


def parse_vars(settings: Settings) -> dict[str, Any]:
    """What a manifest depends on beside the files: it holds the full names of the tables that models become."""
    return {"target": settings.dbt_target, "user": settings.user, **warehouse_of(settings).naming()}
