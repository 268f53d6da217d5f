"""dbt's models and seeds as Dagster assets, in as few steps as there can be.

Models whose rows have a day are one step; those without (views, table functions: current state) are another, and so are
seeds, since Dagster's partitions are those of a step. All domains whose tables one run writes at a time share a step:
each call of dbt costs seconds, however few models it makes.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from dagster import AssetExecutionContext, AssetsDefinition, BackfillPolicy, ResourceParam
from dagster_dbt import dbt_assets

from analytics_assets.dbt.code_versions import code_versions
from analytics_assets.dbt.step import make_models
from analytics_assets.dbt.translator import ModelTranslator
from analytics_assets.project import Project
from analytics_assets.spec.asset import AssetKind
from analytics_assets.warehouse.interface import Warehouse

_STEPS = {AssetKind.MODEL: "models", AssetKind.VIEW: "views", AssetKind.SEED: "seeds"}
"""What the step of each kind is called, behind its pool."""


def build_model_assets(project: Project) -> list[AssetsDefinition]:
    """The models below `models/*/<domain>/` and the seeds below `seeds/<domain>/` of all domains."""
    translator = ModelTranslator(project, code_versions(project.manifest, project.sources))
    pools = dict.fromkeys(project.warehouse.pool(domain.name) for domain in project.domains)
    return [
        _step(project, translator, pool, kind, names)
        for pool in pools
        for kind in _STEPS
        if (names := _names(project, pool, kind))
    ]


def _names(project: Project, pool: str, kind: AssetKind) -> list[str]:
    """The models or seeds of one kind that are made in one pool."""
    domains = {domain.name for domain in project.domains if project.warehouse.pool(domain.name) == pool}
    return [node.name for node in project.manifest.made.values() if node.kind is kind and node.domain in domains]


def _step(
    project: Project, translator: ModelTranslator, pool: str, kind: AssetKind, names: Sequence[str]
) -> AssetsDefinition:
    has_days = kind is AssetKind.MODEL

    @dbt_assets(
        manifest=project.manifest.raw,
        select=" ".join(names),
        name=f"dbt_{_STEPS[kind]}{pool.removeprefix('warehouse')}",
        dagster_dbt_translator=translator,
        partitions_def=project.partitions if has_days else None,
        backfill_policy=BackfillPolicy.single_run() if has_days else None,
        pool=pool,
    )
    def models(context: AssetExecutionContext, warehouse: ResourceParam[Warehouse]) -> Iterator[Any]:
        yield from make_models(context, warehouse, project, translator)

    return models
