"""The step that makes the days of models: it runs dbt, records each day, and reports failures by day.

dbt's SQL replaces the rows of a day: see `dbt_project/macros/window.sql`, and `macros/bigquery.sql` for BigQuery.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, date, datetime
from functools import cache
from graphlib import TopologicalSorter
from itertools import chain
from types import MappingProxyType
from typing import Any

from dagster import AssetExecutionContext, AssetKey, AssetsDefinition, AssetSpec

from analytics_assets.automation.steps import dagster_error, fail, shown, upstream_of
from analytics_assets.automation.versions import Inputs, input_versions
from analytics_assets.dbt.bisection import Verdict, make_by_halves
from analytics_assets.dbt.changed_keys import ChangedKeys
from analytics_assets.dbt.invocation import DbtError
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.dbt.step_results import StepResults, evaluations, row_counts, verdict_on, was_made
from analytics_assets.dbt.translator import ModelTranslator
from analytics_assets.foundation.failures import INTERRUPTED, INTERRUPTS, for_dagster, is_transient, sentence, worst
from analytics_assets.partitions import WHOLE, Read, Upstream, Window, assets_of, by_key
from analytics_assets.project import Project
from analytics_assets.spec.asset import Asset, name_of
from analytics_assets.spec.model_node import ModelNode
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.builds import (
    Build,
    KeyVersions,
    ReadBuilds,
    builds_of,
    days_without_partition,
    next_key_version,
    recorded_builds,
)
from analytics_assets.state.check_results import CheckResults
from analytics_assets.warehouse.interface import Warehouse
from analytics_assets.warehouse.published import public_models, publish_views


def make_models(
    context: AssetExecutionContext, warehouse: Warehouse, project: Project, translator: ModelTranslator
) -> Iterator[Any]:
    """Makes the models of a run; public models without days are also published.

    Raises:
        Failure, RetryRequested: some days failed; the other days are made and recorded.
    """
    settings, window = project.settings, Window.of_run(context)
    specs = {name_of(spec.key): spec for spec in _in_order(context.selected_asset_keys, context.assets_def)}
    upstream = {name: upstream_of(spec) for name, spec in specs.items()}
    nodes = {name: project.manifest.made[name] for name in specs}
    builds, attempts = builds_of(next(iter(nodes.values())).asset, settings), Attempts(settings.lake_dir)
    made = StepResults()
    plan: dict[str, dict[date, Build]] = {}
    key_versions: dict[str, KeyVersions] = {}
    finished: dict[str, dict[date, Build]] = {}
    begun: set[str] = set()

    def make(names: Sequence[str], part: Window) -> dict[str, Verdict]:
        """Runs dbt for some models and days, and keeps the results of models that need no further run."""
        context.log.info(f"dbt builds {', '.join(names)} for {part}")
        of_keys = {name: project.manifest.tests_renewed_with(nodes[name]) for name in names}
        arguments = _build_arguments([*names, *sorted({test.name for tests in of_keys.values() for test in tests})])
        days = None if part == WHOLE else part
        run = run_dbt(arguments, settings, project.sources, days, calendar=project.catalog[names[0]].calendar)
        if not project.manifest.read_by_key.keys().isdisjoint(names):
            renew_key_versions()
        with warehouse.reading() as reader:
            failing = {
                test: reader.rows(f"select * from (\n{sql}\n) as failing") for test, sql in run.failing_tests.items()
            }
            verdicts = {
                name: verdict for name in names if (verdict := verdict_on(run, nodes[name], failing, part)) is not None
            }
            if names[0] not in verdicts:  # the first model reads none of the others
                verdicts[names[0]] = Verdict(dict.fromkeys(part.days(), f"{names[0]}: dbt skipped it"))
            for name, verdict in verdicts.items():
                if not verdict.halve:
                    rows = row_counts(reader, nodes[name], part) if was_made(run, nodes[name]) else {}
                    made.add(name, nodes[name], part, verdict, run, failing, rows)
        final = {name: nodes[name] for name, verdict in verdicts.items() if not verdict.halve}
        drivers = [project.manifest.nodes[test.tested or ""] for name in final for test in of_keys[name]]
        final |= {driver.name: driver for driver in drivers if driver.name not in nodes}
        CheckResults(settings.lake_dir).record(part, evaluations(run, failing, part, final))
        return verdicts

    def make_group(names: Sequence[str]) -> None:
        """Makes a group of models that no other group reads, and records their days."""
        for name in names:
            begun.add(name)
            attempts.begin(name, plan[name], context.run_id)
            builds.forget(name, [*plan[name], *days_without_partition(project.catalog[name], settings)])
        warehouse.require_writable()
        forget_dropped_tables([project.catalog[name] for name in names], project)
        for name, part, verdict in make_by_halves(names, upstream, window, make):
            # Record at once: a kill, or an error in a later part, then loses no day that was made.
            good = [day for day in part.days() if day not in verdict.failed]
            if name in public_views:
                unpublished.update({name: good} if good else {})
            else:
                finish(name, good)
            for day, reason in verdict.failed.items():
                attempts.fail(name, [day], context.run_id, sentence(reason), permanent=not is_transient(reason))
        for name in names:
            attempts.end(name, plan[name].keys() - made.tried(name))  # not reached: another model failed

    def renew_key_versions() -> None:
        """Finds the days for the keys that dbt has changed, also if a test failed: the rows are replaced.

        The days of this run that read them were made after that, and are recorded with their new key versions.
        """
        nonlocal plan
        renewed = changed_keys.settle(context.run_id)
        for one in renewed:
            if one.reader in key_versions and window.holds(one.day):
                versions = key_versions[one.reader].setdefault(one.day, {})
                versions[one.upstream] = next_key_version(versions.get(one.upstream), context.run_id, one.upstream)
        if renewed:
            plan = planned()
            for name in {one.reader for one in renewed} & begun:
                open_days = plan[name].keys() - finished.get(name, {}).keys()
                attempts.begin(name, {day: plan[name][day] for day in open_days}, context.run_id)

    def planned() -> dict[str, dict[date, Build]]:
        codes = [(name, upstream[name], spec.code_version or "") for name, spec in specs.items()]
        return planned_builds(codes, window, recorded_before, key_versions, finished)

    def finish(name: str, good: Sequence[date]) -> None:
        """Records days that were made, but those whose upstream days were written meanwhile."""
        rewritten = read.rewritten()[name]
        made_of = {day: plan[name][day] for day in good if day not in rewritten}
        builds.record(name, made_of)
        finished.setdefault(name, {}).update(made_of)
        if again := rewritten & set(good):
            context.log.info(f"{name}: made again, since what it reads was written meanwhile: {shown(again)}")
        attempts.end(name, good)

    public_views = _public_views(nodes, project) if window == WHOLE and warehouse.blocks_readers else {}
    unpublished: dict[str, Sequence[date]] = {}
    changed_keys = ChangedKeys(project, builds, warehouse.pool(next(iter(nodes.values())).domain))
    errors: list[Exception] = []
    left: Sequence[str] = list(specs)
    group: Sequence[str] = left
    try:
        builds.forget_what_is_gone()
        # Read before the run: a change upstream during the run must show as a difference after it.
        read = Inputs(upstream.items(), window, project.catalog, settings)
        recorded = recorded_builds(project.catalog, settings)
        recorded_before = cache(recorded)
        if window != WHOLE:
            changed_keys.begin(context.run_id)
        key_versions.update(
            (name, builds.key_versions(name, window)) for name, reads in upstream.items() if by_key(reads)
        )
        plan = planned()
        if context.retry_number:  # the first try made, recorded and yielded the others
            left = [name for name in specs if recorded(name, window) != plan[name]]
        for group in _groups(left, upstream, apart=_failed_before(left, window, attempts, context)):
            try:
                _require_loaded_seeds([nodes[name] for name in group], project, translator)
                make_group(group)
            except INTERRUPTS:
                raise
            except Exception as error:  # the other groups read nothing of this one
                fail(settings, group, window, context.run_id, error)
                errors.append(error)
        try:
            publish_views(settings, [node for name, node in public_views.items() if name in unpublished])
        except Exception as error:  # they count as failed: they are made again, and published with that
            fail(settings, unpublished, window, context.run_id, error)
            errors.append(error)
        else:
            for name, good in unpublished.items():
                finish(name, good)
    except INTERRUPTS:
        fail(settings, [*group, *unpublished], window, context.run_id, INTERRUPTED)
        raise
    except Exception as error:
        fail(settings, specs, window, context.run_id, error)
        raise dagster_error(context, settings, error) from error

    said = CheckResults(settings.lake_dir).read(project.days(datetime.now(UTC)), nodes)
    yield from made.events(context, project.manifest, translator, window, said)
    if errors:
        first = worst(errors)
        raise dagster_error(context, settings, first) from first
    if made.failures:
        raise for_dagster(
            made.reason(window),
            transient=all(is_transient(result.message) for result, _ in made.failures),
            retry_number=context.retry_number,
            wait_seconds=settings.retry_wait_seconds,
        )


def _failed_before(names: Sequence[str], window: Window, attempts: Attempts, context: AssetExecutionContext) -> bool:
    """Whether a run of some of these days failed or was killed, so that this one may be, too."""
    return bool(context.retry_number) or any(attempts.read(name, window) for name in names)


def _groups(names: Sequence[str], upstream: Upstream, *, apart: bool) -> list[list[str]]:
    """The models of a run as the groups that it makes one after the other: all at once, which costs one call of dbt.

    Args:
        names: each after those that it reads.
        apart: whether models that do not read each other are groups of their own. One that kills the process, or fills
            its memory, then takes no other along when it is tried again.
    """
    groups: list[list[str]] = []
    for name in names:
        linked = [group for group in groups if not assets_of(upstream[name]).isdisjoint(group)]
        groups = [group for group in groups if group not in linked] + [[*chain(*linked), name]]
    if apart:
        return groups
    return [list(names)] if names else []


def _public_views(nodes: Mapping[str, ModelNode], project: Project) -> dict[str, ModelNode]:
    """Those of some models that are views and published, each after those that it reads."""
    public = (node for domain in project.domains for node in public_models(project.manifest, domain.name))
    return {node.name: node for node in public if node.name in nodes and not node.holds_rows}


def forget_dropped_tables(assets: Iterable[Asset], project: Project) -> None:
    """Drops all records of tables that are gone: a run makes only its own days, and the others must be made again."""
    for name in project.warehouse.lacking(assets, project.manifest):
        builds_of(project.catalog[name], project.settings).forget_all(name)


def _require_loaded_seeds(nodes: Iterable[ModelNode], project: Project, translator: ModelTranslator) -> None:
    """Fails before any day is begun: days made from an outdated seed would be recorded as current.

    The automation waits for seeds. This covers a model that a person requests, and a seed file that changes meanwhile.

    Raises:
        DbtError: a seed that a model reads is not loaded, or its file has changed since it was loaded.
    """
    for node in nodes:
        for name in node.seeds_read:
            seed = project.manifest.made[name]
            build = builds_of(seed.asset, project.settings).read(name, WHOLE).get(WHOLE.start)
            if build is None or build.code != translator.get_code_version(seed.raw):
                raise DbtError(f"{node.name} reads {name}, which is not loaded as its file is: materialize that first")


def planned_builds(
    assets: Sequence[tuple[str, Sequence[Read], str]],
    window: Window,
    recorded: ReadBuilds,
    key_versions: Mapping[str, KeyVersions] = MappingProxyType({}),
    finished: Mapping[str, Mapping[date, Build]] = MappingProxyType({}),
) -> dict[str, dict[date, Build]]:
    """The builds to record for each asset once a run that makes all of them has succeeded.

    Args:
        assets: name, what it reads, and code version of each, upstream assets first.
        recorded: the builds recorded before the run.
        key_versions: of those that read by key.
        finished: the builds of the days that the run has recorded; these stay as they are.
    """
    plan: dict[str, dict[date, Build]] = {}

    def read(asset: str, days: Window) -> Mapping[date, Build]:
        return {**recorded(asset, days), **plan.get(asset, {})}

    for name, reads, code in assets:
        inputs = input_versions(reads, window, read, key_versions.get(name))
        plan[name] = {day: Build(inputs[day], code) for day in window.days()} | dict(finished.get(name, {}))
    return plan


def _in_order(keys: Set[AssetKey], assets: AssetsDefinition) -> list[AssetSpec]:
    """The specs of some assets of a step, upstream assets first."""
    sorter = TopologicalSorter({key: {dep.asset_key for dep in assets.specs_by_key[key].deps} for key in keys})
    return [assets.specs_by_key[key] for key in sorter.static_order() if key in keys]


def _build_arguments(names: Sequence[str]) -> list[str]:
    """The arguments of `dbt build` for some models, the tests that need nothing else, and tests by name.

    Unit tests are left out.
    """
    return ["build", "--select", *names, "--indirect-selection", "buildable", "--exclude-resource-type", "unit_test"]
