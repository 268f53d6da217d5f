"""The results of dbt runs by model and day: which days were made, which failed and why, and what each test found."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    MetadataValue,
    Output,
    TableRecord,
)

from analytics_assets.dagster_internals import add_partition_metadata, dbt_event_message
from analytics_assets.dbt.bisection import Verdict
from analytics_assets.dbt.invocation import DbtResult, DbtRun
from analytics_assets.dbt.translator import ModelTranslator
from analytics_assets.foundation.failures import blames_no_row, is_transient, sentence
from analytics_assets.partitions import WHOLE, Window, contiguous
from analytics_assets.spec.model_node import Manifest, ModelNode
from analytics_assets.state.check_results import Evaluation, FailedCheck, over_all_days
from analytics_assets.warehouse.interface import Reader, Rows, between

SAMPLE_ROWS = 20
"""Maximum number of failing rows shown with a test's result."""


_SHOWN = ("Execution Duration",)
"""The metadata of dagster-dbt that is kept; the rest is the same for each run, or in its log."""


class StepResults:
    """Collects the results of all dbt runs in one step for Dagster: days and their rows, checks, and failures."""

    def __init__(self) -> None:
        self.failures: list[tuple[DbtResult, Window]] = []
        self._failed: dict[str, set[date]] = defaultdict(set)
        self._metadata: dict[str, dict[date, dict[str, Any]]] = defaultdict(dict)
        self._events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._samples: dict[str, MetadataValue] = {}

    def add(
        self,
        name: str,
        node: ModelNode,
        part: Window,
        verdict: Verdict,
        run: DbtRun,
        failing: "Failing",
        rows: Mapping[date, int],
    ) -> None:
        """Adds the result of a run for one model that needs no further run for these days."""
        results = [result for result in run.results if node.unique_id in (result.unique_id, result.tested)]
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
        manifest: Manifest,
        translator: ModelTranslator,
        window: Window,
        said: "Said",
    ) -> Iterator[Any]:
        """The events for Dagster: each model once, with its days, and each check once, with its worst result."""
        for name, events in self._events.items():
            outputs: dict[str, Output[Any]] = {}
            checks: dict[str, AssetCheckResult] = {}
            for event in events:
                for one in dbt_event_message(event).to_default_asset_events(manifest.raw, translator, context):
                    if isinstance(one, Output):
                        outputs[name] = one.with_metadata(
                            {key: one.metadata[key] for key in _SHOWN if key in one.metadata}
                        )
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
        """The step's output if all days of a model were made; else a materialization of each day that was."""
        key = AssetKey(name)
        if len(self._metadata[name]) == len(window):
            if window != WHOLE:
                add_partition_metadata(
                    context, key, {day.isoformat(): metadata for day, metadata in self._metadata[name].items()}
                )
            yield output
            return
        for day in self.days(name):
            metadata = {**output.metadata, **self._metadata[name][day]}
            yield AssetMaterialization(key, partition=day.isoformat(), metadata=metadata)

    def reason(self, window: Window) -> str:
        """What failed, and for which days if not for all."""
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


def verdict_on(run: DbtRun, node: ModelNode, failing: "Failing", part: Window) -> Verdict | None:
    """The verdict of a run on a model; None if dbt did not reach it.

    A model that failed has failed for all days of the part. So has a model that fails a test, unless the test names the
    days that it objects to: then the other days were made.
    """
    unique_id = node.unique_id
    failed = [result for result in run.failed if unique_id in (result.unique_id, result.tested)]
    if not failed:
        return Verdict() if was_made(run, node) else None
    day_column = node.meta.get("day")
    days: dict[date, str] = {}
    for result in failed:
        for day, reason in _objections(result, failing, part, day_column).items():
            days.setdefault(day, f"{result.name}: {reason}")
    divisible = any(_days_named(result, failing, part, day_column) is None for result in failed)
    hopeless = any(is_transient(result.message) or blames_no_row(result.message) for result in failed)
    return Verdict(days, halve=divisible and not hopeless and len(part) > 1)


def was_made(run: DbtRun, node: ModelNode) -> bool:
    """Whether a run made a model."""
    return node.unique_id in run.succeeded


def _costs(run: DbtRun, node: ModelNode, window: Window) -> dict[str, Any]:
    """The cost of the statement that made a model's days, for all of them together; empty if it costs nothing."""
    said: Mapping[str, Any] = next((r.costs for r in run.results if r.unique_id == node.unique_id), {})
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
"""By the names of a model and a test, what the test objects to on all days; None if it passes."""

Failing = Mapping[str, Rows]
"""By the name of a test that failed or warned, the rows that it objects to."""


def evaluations(run: DbtRun, failing: Failing, window: Window, nodes: Mapping[str, ModelNode]) -> Iterator[Evaluation]:
    """The result of each test for each day, errors and warnings alike."""
    names, columns = {node.unique_id: name for name, node in nodes.items()}, _day_columns(nodes)
    for result in run.results:
        tested = result.tested or ""
        if tested in names and result.status in ("pass", "fail", "warn"):
            passed = result.status == "pass"
            objections = {} if passed else _objections(result, failing, window, columns[tested])
            yield Evaluation(names[tested], result.name, objections, is_error=result.status == "fail")


def _day_columns(nodes: Mapping[str, ModelNode]) -> dict[str, str | None]:
    """The day column of each model, by its unique id."""
    return {node.unique_id: node.meta.get("day") for node in nodes.values()}


def _objections(result: DbtResult, failing: Failing, window: Window, day: str | None) -> dict[date, str]:
    """The days that a test objects to, and why: the days that its rows name, else all days of the window.

    Args:
        day: the day column of the tested model; a test may also call it `the_day`.
    """
    if named := _days_named(result, failing, window, day):
        return named
    objections = failing.get(result.name)
    said = _as_text(objections.sorted[0]) if objections and objections.rows else result.message
    return dict.fromkeys(window.days(), said)


def _days_named(result: DbtResult, failing: Failing, window: Window, day: str | None) -> dict[date, str] | None:
    """The days of the window that the failing rows of a test name, and why; None if they name none."""
    objections = failing.get(result.name)
    column = next((name for name in ("the_day", day) if objections and name in objections.names), None)
    if objections is None or column is None or window == WHOLE:
        return None
    by_day: dict[date, list[Mapping[str, Any]]] = defaultdict(list)
    days = set(window.days())
    for row in objections.sorted:
        if row[column] in days:
            by_day[row[column]].append({name: value for name, value in row.items() if name != column})
    return {day: _as_text(rows[0]) + _and_more(len(rows)) for day, rows in by_day.items()} or None


def _as_text(row: Mapping[str, object]) -> str:
    """A row as a text, which ends with its `why` if it has one."""
    text = ", ".join(f"{name} {_plain(value)}" for name, value in row.items() if name != "why")
    return f"{text}: {row['why']}" if row.get("why") else text


def _plain(value: object) -> str:
    return f"{value:,.10g}" if isinstance(value, float) else str(value)


def _and_more(count: int) -> str:
    return f", and {count - 1} more" if count > 1 else ""


def row_counts(reader: Reader, node: ModelNode, window: Window) -> dict[date, int]:
    """How many rows a model has on each day of a window; empty if it has no days."""
    if window == WHOLE:
        return {}
    day = node.day
    found = reader.rows(
        f"select {day}, count(*) as row_count from {node.relation_name} where {between(day, window)} group by {day}"
    )
    return {**dict.fromkeys(window.days(), 0), **dict(found.rows)}


def _sample(objections: Rows) -> MetadataValue:
    """The first failing rows of a test, as a table."""
    shown = objections.sorted[:SAMPLE_ROWS]
    return MetadataValue.table([TableRecord({name: _plain(value) for name, value in row.items()}) for row in shown])


def _of_all_days(
    check: AssetCheckResult, name: str, samples: Mapping[str, MetadataValue], said: Said, window: Window
) -> AssetCheckResult:
    """The result of a model's test over all days, with a sample of its failing rows."""
    test = check.check_name or ""
    if test in samples:
        check = check.with_metadata({**check.metadata, "failing_rows": samples[test]})
    return over_all_days(check, said.get((name, test)), window)
