"""dbt's models and seeds as Dagster assets, in as few steps as possible.

Dagster partitions a step as a whole, so there are three kinds of steps: models whose rows have a day, models without
days (views and table functions: current state), and seeds. Domains in the same pool share a step: each call of dbt
costs seconds, however few models it makes.
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
"""The name of the step of each kind; the pool's suffix follows it."""


def build_model_assets(project: Project) -> list[AssetsDefinition]:
    """The models in `models/*/<domain>/` and the seeds in `seeds/<domain>/`, for all domains."""
    translator = ModelTranslator(project, code_versions(project.manifest, project.sources))
    pools = dict.fromkeys(project.warehouse.pool(domain.name) for domain in project.domains)
    return [
        _step(project, translator, pool, kind, names)
        for pool in pools
        for kind in _STEPS
        if (names := _names(project, pool, kind))
    ]


def _names(project: Project, pool: str, kind: AssetKind) -> list[str]:
    """The models or seeds of one kind in one pool."""
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
