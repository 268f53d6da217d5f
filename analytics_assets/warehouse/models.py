"""The dbt models of a domain as Dagster steps: run, recorded day by day, checked.

Models whose rows have a day are one step; those without (views, table functions: current state) are another, and so are
lookups, since Dagster's partitions are those of a step.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, date, datetime
from graphlib import TopologicalSorter
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    DailyPartitionsDefinition,
    MetadataValue,
    Output,
    ResourceParam,
    TableRecord,
)
from dagster_dbt import dbt_assets
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from analytics_assets.attempts import Attempts
from analytics_assets.automation import Automation
from analytics_assets.checks import Evaluation, FailedCheck, Findings, over_all_days
from analytics_assets.failures import INTERRUPTED, INTERRUPTS, blames_no_row, for_dagster, is_transient, sentence
from analytics_assets.ingest.source import Source
from analytics_assets.partitions import WHOLE, Window, contiguous, partitioned_days
from analytics_assets.settings import Settings
from analytics_assets.steps import dagster_error, fail, shown, upstream_of
from analytics_assets.versions import (
    Build,
    Inputs,
    Offsets,
    ReadBuilds,
    builds_of,
    days_without_partition,
    input_versions,
    recorded_builds,
)
from analytics_assets.warehouse.dbt import (
    DbtError,
    DbtResult,
    DbtRun,
    code_versions,
    load_manifest,
    run_dbt,
)
from analytics_assets.warehouse.halves import Verdict, make_by_halves
from analytics_assets.warehouse.manifest import has_days
from analytics_assets.warehouse.publish import public_models, publish_views
from analytics_assets.warehouse.translator import ModelTranslator
from analytics_assets.warehouse.warehouse import Reader, Rows, Warehouse, between, warehouse_of

SAMPLE_ROWS = 20
"""So many of the rows that fail a test are shown beside its result."""


def build_model_assets(
    domain: str,
    owner: str,
    settings: Settings,
    sources: Sequence[Source],
    partitions: DailyPartitionsDefinition,
    automation: Automation,
) -> list[AssetsDefinition]:
    """The models below `models/*/<domain>/` and the lookups below `seeds/<domain>/`.

    Models with days are one step that can make any of them, views are another, lookups a third.
    """
    manifest = load_manifest(settings)
    translator = ModelTranslator(owner, domain, automation, code_versions(manifest, sources))
    without_days = models_without_days(manifest, domain)
    found = []
    if len(without_days) < len(_models_of(manifest, domain)):
        found.append(_with_days(domain, without_days, settings, sources, manifest, translator, partitions))
    for kind, names in {"views": without_days, "lookups": lookups_of(manifest, domain)}.items():
        if names:
            found.append(_without_days(domain, kind, names, settings, sources, manifest, translator))
    return found


def _with_days(
    domain: str,
    without_days: Sequence[str],
    settings: Settings,
    sources: Sequence[Source],
    manifest: Mapping[str, Any],
    translator: ModelTranslator,
    partitions: DailyPartitionsDefinition,
) -> AssetsDefinition:
    """The step `dbt_<domain>` of all models of a domain except those without days."""

    @dbt_assets(
        manifest=manifest,
        select=f"fqn:*.*.{domain}.*",
        exclude=" ".join(without_days),
        name=f"dbt_{domain}",
        dagster_dbt_translator=translator,
        partitions_def=partitions,
        backfill_policy=BackfillPolicy.single_run(),
        pool=warehouse_of(settings).pool(domain),
    )
    def models(context: AssetExecutionContext, warehouse: ResourceParam[Warehouse]) -> Iterator[Any]:
        yield from _build(context, warehouse, settings, sources, manifest, translator)

    return models


def _without_days(
    domain: str,
    kind: str,
    names: Sequence[str],
    settings: Settings,
    sources: Sequence[Source],
    manifest: Mapping[str, Any],
    translator: ModelTranslator,
) -> AssetsDefinition:
    """The step `dbt_<domain>_<kind>` of what has no days; what is public of it is published with it."""

    @dbt_assets(
        manifest=manifest,
        select=" ".join(names),
        name=f"dbt_{domain}_{kind}",
        dagster_dbt_translator=translator,
        pool=warehouse_of(settings).pool(domain),
    )
    def without_days(context: AssetExecutionContext, warehouse: ResourceParam[Warehouse]) -> Iterator[Any]:
        published = [node for node in public_models(manifest, domain) if node["name"] in names]
        yield from _build(context, warehouse, settings, sources, manifest, translator, published)

    return without_days


def models_without_days(manifest: Mapping[str, Any], domain: str) -> list[str]:
    """The names of a domain's models whose meta names no day: views and table functions over what has days."""
    return [node["name"] for node in _models_of(manifest, domain) if not has_days(node)]


def _models_of(manifest: Mapping[str, Any], domain: str) -> list[Mapping[str, Any]]:
    models = (node for node in manifest["nodes"].values() if node["resource_type"] == "model")
    return [node for node in models if node["fqn"][2] == domain]


def lookups_of(manifest: Mapping[str, Any], domain: str) -> list[str]:
    """The names of a domain's lookups: dbt seeds, CSV files that people keep in the project."""
    seeds = (node for node in manifest["nodes"].values() if node["resource_type"] == "seed")
    return [node["name"] for node in seeds if node["fqn"][1] == domain]


def _build(
    context: AssetExecutionContext,
    warehouse: Warehouse,
    settings: Settings,
    sources: Sequence[Source],
    manifest: Mapping[str, Any],
    translator: ModelTranslator,
    published: Iterable[Mapping[str, Any]] = (),
) -> Iterator[Any]:
    """Makes the models of a run; of those without days, copies the ones that are `published`."""
    window = Window.of_run(context)
    specs = {spec.key.path[-1]: spec for spec in _in_order(context.selected_asset_keys, context.assets_def)}
    upstream = {name: upstream_of(spec) for name, spec in specs.items()}
    nodes = _nodes(manifest, translator)
    builds, attempts = builds_of(next(iter(specs)), settings), Attempts(settings.lake_dir)
    made = _Made()

    def make(names: Sequence[str], part: Window) -> dict[str, Verdict]:
        """Runs dbt for some models and days, and keeps what it says of those that need no other run."""
        context.log.info(f"dbt builds {', '.join(names)} for {part}")
        run = run_dbt(_build_arguments(names), settings, sources, None if part == WHOLE else part)
        with warehouse.reading() as reader:
            failing = {
                test: reader.rows(f"select * from ({sql}) as failing") for test, sql in run.failing_tests.items()
            }
            verdicts = {
                name: verdict for name in names if (verdict := _verdict(run, nodes[name], failing, part)) is not None
            }
            if names[0] not in verdicts:  # which reads none of the others
                verdicts[names[0]] = Verdict(dict.fromkeys(part.days(), f"{names[0]}: dbt skipped it"))
            for name, verdict in verdicts.items():
                if not verdict.halve:
                    rows = _row_counts(reader, nodes[name], part) if _was_made(run, nodes[name]) else {}
                    made.add(name, nodes[name], part, verdict, run, failing, rows)
        final = {name: nodes[name] for name, verdict in verdicts.items() if not verdict.halve}
        Findings(settings.lake_dir).record(part, _evaluations(run, failing, part, final))
        return verdicts

    try:
        builds.forget_what_is_gone()
        _see_that_lookups_are_loaded(specs.values(), nodes, translator, settings)
        # Before the run: what changes upstream while it works must show as a difference after it.
        read = Inputs(upstream.items(), window, settings)
        plan = planned_builds(
            [(name, upstream[name], spec.code_version or "") for name, spec in specs.items()],
            window,
            recorded_builds(settings),
        )
        for name, days in plan.items():
            attempts.begin(name, days, context.run_id)
            builds.forget(name, [*days, *days_without_partition(name, settings)])
        warehouse.see_that_it_can_be_written()
        forget_dropped_tables(specs, settings)
        for name, part, verdict in make_by_halves(list(specs), upstream, window, make):
            # At once: a kill, or an error of a later part, costs none of the days that were made.
            good = [day for day in part.days() if day not in verdict.failed]
            rewritten = read.rewritten()[name]
            builds.record(name, {day: plan[name][day] for day in good if day not in rewritten})
            if again := rewritten & set(good):
                context.log.info(f"{name}: made again, since what it reads was written meanwhile: {shown(again)}")
            attempts.end(name, good)
            for day, reason in verdict.failed.items():
                attempts.fail(name, [day], sentence(reason), permanent=not is_transient(reason))
        for name, days in plan.items():
            attempts.end(name, days.keys() - made.tried(name))  # not reached because of another
        if warehouse.blocks_readers:
            publish_views(settings, [node for node in published if made.days(node["name"]) == [WHOLE.start]])
    except INTERRUPTS:
        fail(settings, specs, window, INTERRUPTED)
        raise
    except Exception as error:
        fail(settings, specs, window, error)
        raise dagster_error(context, settings, error) from error

    said = Findings(settings.lake_dir).read(partitioned_days(settings, datetime.now(UTC)))
    yield from made.events(context, manifest, translator, window, said)
    if made.failures:
        raise for_dagster(
            made.reason(window),
            transient=all(is_transient(result.message) for result, _ in made.failures),
            retry_number=context.retry_number,
            wait_seconds=settings.retry_wait_seconds,
        )


class _Made:
    """What the runs of a step came to, for Dagster: days and their rows, checks, and what failed."""

    def __init__(self) -> None:
        self.failures: list[tuple[DbtResult, Window]] = []
        self._failed: dict[str, set[date]] = defaultdict(set)
        self._metadata: dict[str, dict[date, dict[str, Any]]] = defaultdict(dict)
        self._events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._samples: dict[str, MetadataValue] = {}

    def add(
        self,
        name: str,
        node: Mapping[str, Any],
        part: Window,
        verdict: Verdict,
        run: DbtRun,
        failing: "Failing",
        rows: Mapping[date, int],
    ) -> None:
        """Takes what a run said of one model, which needs no other run for these days."""
        results = [result for result in run.results if node["unique_id"] in (result.unique_id, result.tested)]
        self.failures += [(result, part) for result in results if result in run.failed]
        self._failed[name] |= verdict.failed.keys()
        costs = _costs(run, node, part)
        for day in part.days():
            if day not in verdict.failed:
                counted = {"dagster/partition_row_count": rows[day]} if day in rows else {}
                self._metadata[name][day] = {**counted, **costs}
        ids = {result.unique_id for result in results}
        self._events[name] += [
            event for event in run.events if event["data"].get("node_info", {}).get("unique_id") in ids
        ]
        for result in results:
            if result.name in failing:
                self._samples.setdefault(result.name, _sample(failing[result.name]))

    def days(self, name: str) -> list[date]:
        """The days of a model that were made."""
        return sorted(self._metadata[name])

    def tried(self, name: str) -> set[date]:
        """The days of a model that were made or failed."""
        return self._metadata[name].keys() | self._failed[name]

    def events(
        self,
        context: AssetExecutionContext,
        manifest: Mapping[str, Any],
        translator: ModelTranslator,
        window: Window,
        said: "Said",
    ) -> Iterator[Any]:
        """What Dagster is told: each model once, with its days, and each check once, as the worst that it said."""
        for name, events in self._events.items():
            outputs: dict[str, Output[Any]] = {}
            checks: dict[str, AssetCheckResult] = {}
            for event in events:
                message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
                for one in message.to_default_asset_events(manifest, translator, context):
                    if isinstance(one, Output):
                        outputs[name] = one
                    elif isinstance(one, AssetCheckResult):
                        before = checks.get(one.check_name or "")
                        if before is None or _badness(one) > _badness(before):
                            checks[one.check_name or ""] = one
                    else:
                        yield one
            if name in outputs:
                yield from self._of_days(name, outputs[name], context, window)
            for check in checks.values():
                yield _of_all_days(check, name, self._samples, said, window)

    def _of_days(
        self, name: str, output: "Output[Any]", context: AssetExecutionContext, window: Window
    ) -> Iterator[Any]:
        """A model whose days were all made, as the step's output; else its days that were, one by one."""
        key = AssetKey(name)
        if len(self._metadata[name]) == len(window):
            if window != WHOLE:
                for day, metadata in self._metadata[name].items():
                    context.add_asset_metadata(asset_key=key, partition_key=day.isoformat(), metadata=metadata)
            yield output
            return
        for day in self.days(name):
            metadata = {**output.metadata, **self._metadata[name][day]}
            yield AssetMaterialization(key, partition=day.isoformat(), metadata=metadata)

    def reason(self, window: Window) -> str:
        """What failed, and for which days where not all did."""
        days: dict[tuple[str, str], set[date]] = defaultdict(set)
        for result, part in self.failures:
            days[result.name, sentence(result.message)] |= set(part.days())
        return "; ".join(
            f"{name}: {said}"
            if len(its_days) == len(window)
            else f"{name} for {', '.join(map(str, contiguous(its_days)))}: {said}"
            for (name, said), its_days in sorted(days.items())
        )


def _badness(check: AssetCheckResult) -> int:
    return 0 if check.passed else 1 if check.severity is AssetCheckSeverity.WARN else 2


def _verdict(run: DbtRun, node: Mapping[str, Any], failing: "Failing", part: Window) -> Verdict | None:
    """What a run says of a model; None where dbt did not reach it.

    A model that failed has failed for all of the part. So has one that fails a test, unless the test says which days it
    objects to: then the others were made.
    """
    unique_id = node["unique_id"]
    failed = [result for result in run.failed if unique_id in (result.unique_id, result.tested)]
    if not failed:
        return Verdict() if _was_made(run, node) else None
    day_column = node["config"]["meta"].get("day")
    days: dict[date, str] = {}
    for result in failed:
        for day, reason in _objections(result, failing, part, day_column).items():
            days.setdefault(day, f"{result.name}: {reason}")
    divisible = any(_days_named(result, failing, part, day_column) is None for result in failed)
    hopeless = any(is_transient(result.message) or blames_no_row(result.message) for result in failed)
    return Verdict(days, halve=divisible and not hopeless and len(part) > 1)


def forget_dropped_tables(names: Iterable[str], settings: Settings) -> None:
    """Drops all records of tables that are not there: a run makes its own days of them, and the others must follow."""
    for name in warehouse_of(settings).lacking(names):
        builds_of(name, settings).forget_all(name)


def _see_that_lookups_are_loaded(
    specs: Iterable[AssetSpec],
    nodes: Mapping[str, Mapping[str, Any]],
    translator: ModelTranslator,
    settings: Settings,
) -> None:
    """Fails before any day is begun: made from an older file, days would pass for those of the file as it is now.

    The automation waits for lookups; this is for who asks for a model by hand, and for a file that changes meanwhile.

    Raises:
        DbtError: a lookup that is read is not loaded, or was loaded from another file than there is now.
    """
    for spec in specs:
        for name in (dep.asset_key.path[-1] for dep in spec.deps):
            if name in nodes and nodes[name]["resource_type"] == "seed":
                build = builds_of(name, settings).read(name, WHOLE).get(WHOLE.start)
                if build is None or build.code != translator.get_code_version(nodes[name]):
                    raise DbtError(
                        f"{spec.key.path[-1]} reads {name}, which is not loaded as its file is: materialize that first"
                    )


def _nodes(manifest: Mapping[str, Any], translator: ModelTranslator) -> dict[str, Mapping[str, Any]]:
    """The manifest's models and lookups by the names of their assets."""
    made = (node for node in manifest["nodes"].values() if node["resource_type"] in ("model", "seed"))
    return {translator.get_asset_key(node).path[-1]: node for node in made}


def _was_made(run: DbtRun, node: Mapping[str, Any]) -> bool:
    return node["unique_id"] in run.succeeded


def _costs(run: DbtRun, node: Mapping[str, Any], window: Window) -> dict[str, Any]:
    """What the statement that made a model's days cost, all of them together; empty where that costs nothing."""
    said: Mapping[str, Any] = next((r.costs for r in run.results if r.unique_id == node["unique_id"]), {})
    if said.get("bytes_processed") is None:
        return {}
    return {
        "bytes_processed": said["bytes_processed"],
        "bytes_billed": said.get("bytes_billed") or 0,
        "slot_seconds": round((said.get("slot_ms") or 0) / 1000, 3),
        "job_id": said.get("job_id") or "",
        "days_of_the_job": len(window),
    }


Said = Mapping[tuple[str, str], FailedCheck | None]
"""By the names of a model and a test, what the test objects to on all days; None where it passes."""

Failing = Mapping[str, Rows]
"""By the name of a test that failed or warned, the rows that it objects to."""


def _evaluations(
    run: DbtRun, failing: Failing, window: Window, nodes: Mapping[str, Mapping[str, Any]]
) -> Iterator[Evaluation]:
    """What each test said of each day, errors and warnings alike."""
    names, columns = {node["unique_id"]: name for name, node in nodes.items()}, _day_columns(nodes)
    for result in run.results:
        tested = result.tested or ""
        if tested in names and result.status in ("pass", "fail", "warn"):
            passed = result.status == "pass"
            objections = {} if passed else _objections(result, failing, window, columns[tested])
            yield Evaluation(names[tested], result.name, objections, is_error=result.status == "fail")


def _day_columns(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, str | None]:
    """The columns that hold the day, by the unique id of the model."""
    return {node["unique_id"]: node["config"]["meta"].get("day") for node in nodes.values()}


def _objections(result: DbtResult, failing: Failing, window: Window, day: str | None) -> dict[date, str]:
    """The days that a test objects to, and why: those of its rows, else all of the window.

    Args:
        day: the column that holds the day of the model that is tested; a test may also call it `the_day`.
    """
    if named := _days_named(result, failing, window, day):
        return named
    objections = failing.get(result.name)
    said = _as_text(objections.sorted[0]) if objections and objections.rows else result.message
    return dict.fromkeys(window.days(), said)


def _days_named(result: DbtResult, failing: Failing, window: Window, day: str | None) -> dict[date, str] | None:
    """The days of the window to which the rows of a test object, and why; None where they name none of them."""
    objections = failing.get(result.name)
    column = next((name for name in ("the_day", day) if objections and name in objections.names), None)
    if objections is None or column is None or window == WHOLE:
        return None
    by_day: dict[date, list[Mapping[str, Any]]] = defaultdict(list)
    for row in objections.sorted:
        if row[column] in set(window.days()):
            by_day[row[column]].append({name: value for name, value in row.items() if name != column})
    return {day: _as_text(rows[0]) + _and_more(len(rows)) for day, rows in by_day.items()} or None


def _as_text(row: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items())


def _and_more(count: int) -> str:
    return f", and {count - 1} more" if count > 1 else ""


def planned_builds(
    assets: Sequence[tuple[str, Mapping[str, Offsets], str]], window: Window, recorded: ReadBuilds
) -> dict[str, dict[date, Build]]:
    """What each asset will have been built from once a run that makes them all has succeeded.

    Args:
        assets: name, upstream assets and code version of each, every one after those that it reads.
        recorded: what is built before the run.
    """
    plan: dict[str, dict[date, Build]] = {}

    def read(asset: str, days: Window) -> Mapping[date, Build]:
        return {**recorded(asset, days), **plan.get(asset, {})}

    for name, upstream, code in assets:
        inputs = input_versions(upstream, window, read)
        plan[name] = {day: Build(inputs[day], code) for day in window.days()}
    return plan


def _in_order(keys: Set[AssetKey], assets: AssetsDefinition) -> list[AssetSpec]:
    """The specs of some assets of a step, every one after those that it reads."""
    sorter = TopologicalSorter({key: {dep.asset_key for dep in assets.specs_by_key[key].deps} for key in keys})
    return [assets.specs_by_key[key] for key in sorter.static_order() if key in keys]


def _build_arguments(models: Sequence[str]) -> list[str]:
    """`dbt build` of some models with the tests that need nothing else; unit tests are for development."""
    return ["build", "--select", *models, "--indirect-selection", "buildable", "--exclude-resource-type", "unit_test"]


def _row_counts(reader: Reader, node: Mapping[str, Any], window: Window) -> dict[date, int]:
    if window == WHOLE:
        return {}
    day = node["config"]["meta"]["day"]
    found = reader.rows(
        f"select {day}, count(*) as row_count from {node['relation_name']} where {between(day, window)} group by {day}"
    )
    return {**dict.fromkeys(window.days(), 0), **dict(found.rows)}


def _sample(objections: Rows) -> MetadataValue:
    """The first rows that a test objects to, as a table."""
    shown = objections.sorted[:SAMPLE_ROWS]
    return MetadataValue.table([TableRecord({name: str(value) for name, value in row.items()}) for row in shown])


def _of_all_days(
    check: AssetCheckResult, name: str, samples: Mapping[str, MetadataValue], said: Said, window: Window
) -> AssetCheckResult:
    """The result of a test of a model with rows that it objects to, and as of all days."""
    test = check.check_name or ""
    if test in samples:
        check = check.with_metadata({**check.metadata, "failing_rows": samples[test]})
    return over_all_days(check, said.get((name, test)), window)
