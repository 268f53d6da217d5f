"""The variables that every dbt run gets."""

from collections.abc import Iterable
from typing import Any

import polars as pl

from analytics_assets.partitions import UTC_DAYS, Calendar, Window
from analytics_assets.settings import Settings
from analytics_assets.spec.model_node import Manifest
from analytics_assets.spec.source import PolarsType, Source
from analytics_assets.warehouse.choice import warehouse_of


def source_vars(sources: Iterable[Source]) -> dict[str, Any]:
    """What the macros need from each source's spec: primary key, dedup order and columns.

    Rare parts are included only for the sources that have them, so that the code versions of the others do not change.
    """
    return {
        source.name: {
            "primary_key": list(source.primary_key),
            "dedup_order": [[w.column, "desc" if w.largest else "asc"] for w in source.dedup_steps],
            "columns": list(source.columns),
            "kinds": {name: kind for name, dtype in source.columns.items() if (kind := _kind(dtype))},
            **({"whole": list(source.whole)} if source.whole else {}),
            **({"complete": True} if source.complete else {}),
        }
        for source in sources
    }


def _kind(dtype: PolarsType) -> str | None:
    """The kind of a type whose values differ between warehouses, as macros/sources.sql names it; None for others."""
    if isinstance(dtype, pl.Decimal) and dtype.scale:
        return "decimal"
    return "fraction" if dtype.is_float() else "time" if dtype == pl.Datetime else None


def meta_vars(manifest: Manifest) -> dict[str, Any]:
    """What `by_key` needs of the readers, of what they read, and of their drivers, where dbt fills in no graph."""
    names = {
        name
        for upstream, readers in manifest.read_by_key.items()
        for node, read in readers
        for name in (upstream, node.name, read.of)
    }
    said = {name: manifest.made[name].meta for name in sorted(names)}
    return {"meta_by_key": {name: {"day": meta["day"], "reads": meta.get("reads", [])} for name, meta in said.items()}}


def window_vars(window: Window) -> dict[str, str]:
    """The window as dbt variables; `window_end` is the first day after it."""
    return {"window_start": window.start.isoformat(), "window_end": window.end.isoformat()}


def project_vars(settings: Settings, sources: Iterable[Source], calendar: Calendar = UTC_DAYS) -> dict[str, Any]:
    """All other variables of the project's models, macros and profile.

    Args:
        calendar: the days of the models that are run; the rows of others are deleted.
    """
    last = calendar.last_day(settings)
    return {
        **parse_vars(settings),
        **warehouse_of(settings).variables(),
        "first_day": calendar.first_day(settings).isoformat(),
        "last_day": last.isoformat() if last else None,
        "raw_dir": str(settings.raw_dir),
        "sources": source_vars(sources),
    }


def parse_vars(settings: Settings) -> dict[str, Any]:
    """The variables that a manifest depends on beside the files: it holds the full names of the models' tables."""
    return {"target": settings.dbt_target, "user": settings.user, **warehouse_of(settings).naming()}
