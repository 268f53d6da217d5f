"""Runs dbt commands on the prepared manifest: the project is parsed once for any number of runs and windows."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from analytics_assets.dagster_internals import dbt_manifest
from analytics_assets.dbt.invocation import DbtRun, invoke
from analytics_assets.dbt.project import load_manifest, parsed
from analytics_assets.dbt.variables import meta_vars, project_vars, window_vars
from analytics_assets.partitions import UTC_DAYS, Calendar, Window
from analytics_assets.settings import Settings
from analytics_assets.spec.source import Source


@cache
def _parsed_manifest(settings: Settings) -> Any:
    """The manifest of the same parse as dbt's own object."""
    manifest = dbt_manifest(parsed(settings).own_manifest)
    for node in manifest.nodes.values():
        if node.resource_type == "seed":
            node.root_path = str(parsed(settings).folder)  # dbt-duckdb reads the seed's file from here
    manifest.build_flat_graph()  # what macros see as `graph`
    manifest.build_group_map()
    return manifest


def run_dbt(
    arguments: Sequence[str],
    settings: Settings,
    sources: Iterable[Source],
    window: Window | None = None,
    *,
    calendar: Calendar = UTC_DAYS,
    quiet: bool = True,
) -> DbtRun:
    """Runs a dbt command in this process on the prepared manifest; `quiet` keeps dbt from printing.

    Args:
        calendar: the days of the models that it writes, none of which keeps rows of other days.

    Raises:
        DbtError: dbt could not even start, for example because another process locks the warehouse.
    """
    variables = project_vars(settings, sources, calendar) | meta_vars(load_manifest(settings))
    variables |= window_vars(window) if window else {}
    settings.warehouse_dir.mkdir(parents=True, exist_ok=True)
    return invoke(
        [*arguments, "--target-path", str(settings.warehouse_dir / "dbt_target")],
        variables,
        settings,
        manifest=_parsed_manifest(settings),
        project=parsed(settings).folder,
        attached={test.unique_id: test.tested for test in load_manifest(settings).tests},
        quiet=quiet,
    )
