"""The published copy as assets, one per domain with public models; one step writes those with the same days."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetDep,
    AssetExecutionContext,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    MaterializeResult,
    MetadataValue,
    multi_asset,
)

from analytics_assets.automation.steps import made_days
from analytics_assets.dagster_internals import add_partition_metadata
from analytics_assets.partitions import Calendar, Window
from analytics_assets.project import Project, published_asset
from analytics_assets.spec.asset import name_of
from analytics_assets.spec.domain import Domain
from analytics_assets.state.check_results import CheckResults, Evaluation, over_all_days
from analytics_assets.warehouse.published import Published, public_models, publish

CODE_VERSION = "1"

_CHECK = "same_rows_as_warehouse"


def build_published_assets(project: Project) -> list[AssetsDefinition]:
    """`published_<domain>` for each domain with public models; empty if the warehouse does not block readers."""
    groups: dict[Calendar, dict[str, Domain]] = {}
    for domain in project.domains:
        if project.has_published(domain):
            groups.setdefault(domain.calendar, {})[published_asset(domain.name)] = domain
    return [_step(project, calendar, domains) for calendar, domains in groups.items()]


def _step(project: Project, calendar: Calendar, domains: Mapping[str, Domain]) -> AssetsDefinition:
    """The step of the domains with the same days."""
    specs = {name: _spec(name, domain, project) for name, domain in domains.items()}

    @multi_asset(
        name=f"published{calendar.suffix}",
        specs=list(specs.values()),
        can_subset=True,
        backfill_policy=BackfillPolicy.single_run(),
        pool=project.warehouse.pool(next(iter(domains.values())).name),
        check_specs=[
            AssetCheckSpec(
                _CHECK,
                asset=name,
                description="Each day that did not fail holds as many rows as in the warehouse.",
                automation_condition=project.automation.with_its_asset(),
            )
            for name in specs
        ],
    )
    def published(context: AssetExecutionContext) -> Iterator[MaterializeResult]:
        settings, chosen = project.settings, sorted(name_of(key) for key in context.selected_asset_keys)
        models = {name: public_models(project.manifest, domains[name].name) for name in chosen}
        results: list[MaterializeResult] = []
        try:
            with made_days(context, [specs[name] for name in chosen], project.catalog, settings) as (window, failed):
                copied = publish(settings, models, window, calendar)
                failed |= {name: one for name, one in copied.items() if isinstance(one, Exception)}
                done = {name: one for name, one in copied.items() if isinstance(one, Published)}
                results += _results(context, project, specs, done, window)
        except Exception:  # the others were copied, and are recorded
            yield from results
            raise
        yield from results

    return published


def _results(
    context: AssetExecutionContext,
    project: Project,
    specs: Mapping[str, AssetSpec],
    done: Mapping[str, Published],
    window: Window,
) -> list[MaterializeResult]:
    """What Dagster is told of the parts that were copied: their days, and whether the warehouse holds as many rows."""
    settings = project.settings
    checks = {
        name: Evaluation(
            name, _CHECK, {day: "; ".join(sentences) for day, sentences in one.differing.items()}, is_error=True
        )
        for name, one in done.items()
    }
    check_results = CheckResults(settings.lake_dir)
    check_results.record(window, checks.values())
    said = check_results.read(project.days(datetime.now(UTC)), checks)
    results: list[MaterializeResult] = []
    for name, one in done.items():
        add_partition_metadata(
            context,
            specs[name].key,
            {day.isoformat(): {"dagster/partition_row_count": one.rows[day]} for day in window.days()},
        )
        check = AssetCheckResult(
            check_name=_CHECK,
            asset_key=specs[name].key,
            passed=not one.differing,
            metadata={"differing": [sentence for day in one.differing.values() for sentence in day]},
        )
        results.append(
            MaterializeResult(
                asset_key=specs[name].key,
                metadata={"path": MetadataValue.path(str(settings.published_file))},
                check_results=[over_all_days(check, said[name, _CHECK], window)],
            )
        )
    return results


def _spec(name: str, domain: Domain, project: Project) -> AssetSpec:
    tables = [node for node in public_models(project.manifest, domain.name) if node.holds_rows]
    return AssetSpec(
        name,
        group_name=domain.name,
        owners=[domain.owner],
        kinds={"duckdb"},
        tags=project.catalog[name].tags,
        description=f"The marts of {domain.name} in the published copy, which can be read while a run writes.",
        deps=[AssetDep(node.name) for node in tables],
        partitions_def=project.partitions(domain.calendar),
        code_version=CODE_VERSION,
        automation_condition=project.automation.published(),
    )
