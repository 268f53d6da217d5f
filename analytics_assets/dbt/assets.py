"""dbt's models and seeds as Dagster assets, in as few steps as possible.

Dagster partitions a step as a whole, so there are three kinds of steps: models whose rows have a day, models without
days (views and table functions: current state), and seeds. Domains in the same pool, with the same days, share a step:
each call of dbt costs seconds, however few models it makes.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from dagster import AssetExecutionContext, AssetsDefinition, BackfillPolicy, ResourceParam, multi_asset

from analytics_assets.dbt.code_versions import code_versions
from analytics_assets.dbt.step import make_models
from analytics_assets.dbt.translator import ModelTranslator
from analytics_assets.partitions import UTC_DAYS, Calendar
from analytics_assets.project import Project
from analytics_assets.spec.asset import AssetKind
from analytics_assets.spec.model_node import ModelNode
from analytics_assets.warehouse.interface import Warehouse

_STEPS = {AssetKind.MODEL: "models", AssetKind.VIEW: "views", AssetKind.SEED: "seeds"}
"""The name of the step of each kind; the pool's suffix follows it."""


def build_model_assets(project: Project) -> list[AssetsDefinition]:
    """The models in `models/*/<domain>/` and the seeds in `seeds/<domain>/`, for all domains."""
    translator = ModelTranslator(project, code_versions(project.manifest, project.sources))
    steps: dict[tuple[str, AssetKind, Calendar], list[ModelNode]] = {}
    for kind in _STEPS:
        for node in project.manifest.made.values():
            if node.kind is kind and node.domain in project.calendars:
                days = project.calendars[node.domain] if kind is AssetKind.MODEL else UTC_DAYS
                steps.setdefault((project.warehouse.pool(node.domain), kind, days), []).append(node)
    return [_step(project, translator, *of, nodes) for of, nodes in steps.items()]


def _step(
    project: Project,
    translator: ModelTranslator,
    pool: str,
    kind: AssetKind,
    calendar: Calendar,
    nodes: Sequence[ModelNode],
) -> AssetsDefinition:
    """One step of some models or seeds, with the tests that are attached to them as checks.

    It is what `@dbt_assets` returns for a selection of these nodes by name. That would ask dbt's graph for the nodes
    that are known here, in a time that grows with the square of their number.
    """
    has_days, manifest = kind is AssetKind.MODEL, project.manifest.raw
    specs = {node.unique_id: translator.get_asset_spec(manifest, node.unique_id, None) for node in nodes}
    checks = [
        check
        for unique_id, spec in specs.items()
        for test in manifest["child_map"][unique_id]
        if test.startswith("test.")
        if (check := translator.get_asset_check_spec(spec, manifest, test, None))
    ]

    @multi_asset(
        name=f"dbt_{_STEPS[kind]}{pool.removeprefix('warehouse')}{calendar.suffix}",
        specs=list(specs.values()),
        check_specs=checks,
        can_subset=True,
        partitions_def=project.partitions(calendar) if has_days else None,
        backfill_policy=BackfillPolicy.single_run() if has_days else None,
        pool=pool,
    )
    def models(context: AssetExecutionContext, warehouse: ResourceParam[Warehouse]) -> Iterator[Any]:
        yield from make_models(context, warehouse, project, translator)

    return models
