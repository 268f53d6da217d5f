"""What a step does around its work: it records attempts and builds, and raises errors that say what to do."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date

from dagster import AssetExecutionContext, AssetSpec, OpExecutionContext

from analytics_assets.automation.graph import reads_of
from analytics_assets.automation.versions import Inputs, input_versions
from analytics_assets.foundation.failures import INTERRUPTED, INTERRUPTS, for_dagster, is_transient, sentence, worst
from analytics_assets.foundation.plain_text import logger_of
from analytics_assets.partitions import Read, Window
from analytics_assets.settings import Settings
from analytics_assets.spec.asset import Catalog, name_of
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.builds import Build, builds_of, days_without_partition, recorded_builds

logger = logger_of(__name__)


def upstream_of(spec: AssetSpec) -> list[Read]:
    """What an asset reads of others, by its spec."""
    return reads_of({name_of(dep.asset_key): dep.partition_mapping for dep in spec.deps}, spec.metadata)


@contextmanager
def made_days(
    context: AssetExecutionContext,
    specs: Iterable[AssetSpec],
    catalog: Catalog,
    settings: Settings,
    window: Window | None = None,
) -> Iterator[tuple[Window, dict[str, Exception]]]:
    """The days of a run whose assets are each made as a whole; records them as built, or as failed if the block fails.

    Args:
        specs: what the run makes; none of them reads another one.
        window: the days that it makes, if these are not all of the run's.

    Yields:
        The days; and a dict in which the block says why one asset failed, while the others go on.

    Raises:
        Failure, RetryRequested: what was raised inside, or put into the dict, in Dagster's terms.
    """
    specs = list(specs)
    window, upstream = window or Window.of_run(context), {name_of(spec.key): upstream_of(spec) for spec in specs}
    codes = {name_of(spec.key): spec.code_version or "" for spec in specs}
    attempts, failed = Attempts(settings.lake_dir), dict[str, Exception]()
    try:
        # Read before the work, so that an upstream change during the work shows as a difference afterwards.
        read = Inputs(upstream.items(), window, catalog, settings)
        plan = {}
        for name in upstream:
            builds = builds_of(catalog[name], settings)
            builds.forget_what_is_gone()
            inputs = input_versions(upstream[name], window, recorded_builds(catalog, settings))
            plan[name] = {day: Build(inputs[day], codes[name]) for day in window.days()}
            attempts.begin(name, plan[name], context.run_id)
            builds.forget(name, [*plan[name], *days_without_partition(catalog[name], settings)])
        yield window, failed
        rewritten = read.rewritten()
    except INTERRUPTS:
        fail(settings, upstream, window, context.run_id, INTERRUPTED)
        raise
    except Exception as error:
        fail(settings, upstream, window, context.run_id, error)
        raise dagster_error(context, settings, error) from error
    for name in upstream.keys() - failed.keys():
        if again := rewritten[name]:
            context.log.info(f"{name}: to be made again, since what it reads was written meanwhile: {shown(again)}")
        days = {day: build for day, build in plan[name].items() if day not in rewritten[name]}
        builds_of(catalog[name], settings).record(name, days)
        attempts.end(name, plan[name])
    for name, why in failed.items():
        fail(settings, [name], window, context.run_id, why)
    if failed:
        first = worst(failed.values())
        raise dagster_error(context, settings, first) from first


def shown(days: Iterable[date]) -> str:
    """Some days as text, oldest first."""
    return ", ".join(map(str, sorted(days)))


def fail(settings: Settings, names: Iterable[str], window: Window, run_id: str, error: Exception | str) -> None:
    """Records why the days of some assets failed in a run, if possible: a full disk takes no record either."""
    permanent = error != INTERRUPTED and not is_transient(error)
    try:
        for name in names:
            Attempts(settings.lake_dir).fail(name, window.days(), run_id, sentence(error), permanent=permanent)
    except (OSError, sqlite3.Error) as unwritable:
        logger.warning(f"the failure could not be recorded: {unwritable}")


def dagster_error(
    context: AssetExecutionContext | OpExecutionContext, settings: Settings, error: Exception | str
) -> Exception:
    """What to raise for an error: a request for a retry if that may help, else a Failure."""
    return for_dagster(
        sentence(error),
        transient=is_transient(error),
        retry_number=context.retry_number,
        wait_seconds=settings.retry_wait_seconds,
    )
