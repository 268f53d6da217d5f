"""What a step does around its work so that automation knows of it: attempts, records, errors that say what to do."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date

from dagster import AssetExecutionContext, AssetSpec, OpExecutionContext

from analytics_assets.attempts import Attempts
from analytics_assets.failures import INTERRUPTED, INTERRUPTS, for_dagster, is_transient, sentence
from analytics_assets.partitions import Window
from analytics_assets.plain_text import logger_of
from analytics_assets.settings import Settings
from analytics_assets.versions import (
    Build,
    Inputs,
    Offsets,
    builds_of,
    days_without_partition,
    input_versions,
    offsets_of,
    recorded_builds,
)

logger = logger_of(__name__)


def upstream_of(spec: AssetSpec) -> dict[str, Offsets]:
    """The assets that one reads, each with its partition mapping."""
    return {dep.asset_key.path[-1]: offsets_of(dep.partition_mapping) for dep in spec.deps}


@contextmanager
def made_days(context: AssetExecutionContext, spec: AssetSpec, settings: Settings) -> Iterator[Window]:
    """The days of a run for an asset that is made as a whole: recorded when the block ends well, else as failed.

    Raises:
        Failure, RetryRequested: what was raised inside, as Dagster understands it.
    """
    name, window = spec.key.path[-1], Window.of_run(context)
    builds, attempts = builds_of(name, settings), Attempts(settings.lake_dir)
    try:
        builds.forget_what_is_gone()
        # Before the work: what changes upstream meanwhile must show as a difference after it.
        read = Inputs([(name, upstream_of(spec))], window, settings)
        inputs = input_versions(upstream_of(spec), window, recorded_builds(settings))
        plan = {day: Build(inputs[day], spec.code_version or "") for day in window.days()}
        attempts.begin(name, plan, context.run_id)
        builds.forget(name, [*plan, *days_without_partition(name, settings)])
        yield window
        rewritten = read.rewritten()[name]
    except INTERRUPTS:
        fail(settings, [name], window, INTERRUPTED)
        raise
    except Exception as error:
        fail(settings, [name], window, error)
        raise dagster_error(context, settings, error) from error
    if rewritten:
        context.log.info(f"{name}: to be made again, since what it reads was written meanwhile: {shown(rewritten)}")
    builds.record(name, {day: build for day, build in plan.items() if day not in rewritten})
    attempts.end(name, plan)


def shown(days: Iterable[date]) -> str:
    """Some days, as a text."""
    return ", ".join(map(str, sorted(days)))


def fail(settings: Settings, names: Iterable[str], window: Window, error: Exception | str) -> None:
    """Writes down why the days of some assets failed, if that can be written: a full disk takes no record either."""
    permanent = error != INTERRUPTED and not is_transient(error)
    try:
        for name in names:
            Attempts(settings.lake_dir).fail(name, window.days(), sentence(error), permanent=permanent)
    except (OSError, sqlite3.Error) as unwritable:
        logger.warning(f"the failure could not be recorded: {unwritable}")


def dagster_error(
    context: AssetExecutionContext | OpExecutionContext, settings: Settings, error: Exception | str
) -> Exception:
    """What to raise for an error: the step is tried again when that may help."""
    return for_dagster(
        sentence(error),
        transient=is_transient(error),
        retry_number=context.retry_number,
        wait_seconds=settings.retry_wait_seconds,
    )
