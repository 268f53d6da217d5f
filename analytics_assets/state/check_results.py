"""Check results, by day for the checks that know days.

Dagster judges an asset by the newest evaluation of each check. The checks of raw days, models and the published copy
are evaluated for the days of a run, so a failed day would be forgotten as soon as another day passes. Their result for
each day is kept here, and Dagster gets one evaluation of all days.

`AssetCheckSpec.partitions_def` does not help: in a run of several days a result is recorded for none of them, a second
result is an error, and if evaluations are logged day by day, the last day's is the newest, whatever the others say.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetCheckResult,
    AssetCheckSeverity,
    DagsterEventType,
    DagsterInstance,
    MetadataValue,
    TableRecord,
)
from sqlalchemy import Boolean, Column, Date, MetaData, Table, Text, delete, select

from analytics_assets.partitions import Window
from analytics_assets.spec.asset import name_of
from analytics_assets.state.database import Store, insert, tuples

TABLES = MetaData()
_FINDINGS = Table(
    "findings",
    TABLES,
    Column("asset", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("finding", Text, comment="null where the check passed"),
    Column("is_error", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

_IF_DAMAGED = "delete it; it fills again as days are made"


@dataclass(frozen=True)
class FailedCheck:
    """A check that failed.

    Attributes:
        finding: what it objects to, as a text that follows its name.
        objections: the reason for each day that fails, oldest first; empty for a check that knows no days, which is
            judged by its newest evaluation.
    """

    asset: str
    name: str
    finding: str
    is_error: bool
    objections: Mapping[date, str] = field(default_factory=dict)

    @property
    def days(self) -> tuple[date, ...]:
        """The days that fail, oldest first."""
        return tuple(self.objections)


@dataclass(frozen=True)
class Evaluation:
    """The result of a check for some days: `objections` holds the reason for each day that it objects to."""

    asset: str
    name: str
    objections: Mapping[date, str]
    is_error: bool


class CheckResults:
    """The results of the checks of raw days, models and the published copy, for each day when it was last made."""

    def __init__(self, lake_dir: Path) -> None:
        self._store = Store(lake_dir / "findings.sqlite", TABLES, _IF_DAMAGED)

    def record(self, window: Window, evaluations: Iterable[Evaluation]) -> None:
        """Records the results of some checks for all days of a window; a day without an objection passed."""
        rows = [
            {
                "asset": one.asset,
                "name": one.name,
                "day": day,
                "finding": one.objections.get(day),
                "is_error": one.is_error,
            }
            for one in evaluations
            for day in window.days()
        ]
        if not rows:
            return
        added = insert(_FINDINGS)
        newest = {"finding": added.excluded.finding, "is_error": added.excluded.is_error}
        with self._store.writing() as connection:
            connection.execute(added.on_conflict_do_update(index_elements=[*_FINDINGS.primary_key], set_=newest), rows)

    def read(self, window: Window, assets: Collection[str] | None = None) -> dict[tuple[str, str], FailedCheck | None]:
        """By asset and name, every check that was evaluated for a day of the window; None if no day failed.

        Args:
            assets: only the checks of these; None for all.
        """
        day = _FINDINGS.c.day
        wanted = select(_FINDINGS).where(day >= window.start, day < window.end).order_by(day)
        if assets is not None:
            wanted = wanted.where(_FINDINGS.c.asset.in_(list(assets)))
        with self._store.reading() as connection:
            rows = tuples(connection.execute(wanted))
        objections: dict[tuple[str, str], dict[date, str]] = {}
        errors = set[tuple[str, str]]()
        for asset, name, on, finding, is_error in rows:
            of_check = objections.setdefault((asset, name), {})
            if finding is not None:
                of_check[on] = finding
                if is_error:
                    errors.add((asset, name))
        return {
            key: FailedCheck(*key, f": {[*days.values()][-1]}", key in errors, days) if days else None
            for key, days in objections.items()
        }

    def forget(self, assets: Iterable[str]) -> None:
        """Drops the results of some assets' checks."""
        with self._store.writing() as connection:
            connection.execute(delete(_FINDINGS).where(_FINDINGS.c.asset.in_(list(assets))))

    def failures_after(self, evaluation: Evaluation, window: Window, days: Window) -> FailedCheck | None:
        """Records a check's result for the days of a run, and returns its failures over all days."""
        self.record(window, [evaluation])
        return self.read(days, [evaluation.asset]).get((evaluation.asset, evaluation.name))


FAILING_HERE = "failing_in_this_run"
SHOWN_DAYS = 100


def over_all_days(result: AssetCheckResult, failed: FailedCheck | None, window: Window) -> AssetCheckResult:
    """Turns a check's result for the days of a run into a result for all days: it fails as long as any day fails.

    Args:
        failed: the check's failures over all days; None if no day fails.
        window: the days of the run.
    """
    if failed is None:
        return result
    others = [day for day in failed.days if not window.start <= day < window.end]
    severity = AssetCheckSeverity.ERROR if failed.is_error else AssetCheckSeverity.WARN
    shown = [{"day": str(day), "why": failed.objections[day]} for day in sorted(failed.days, reverse=True)[:SHOWN_DAYS]]
    return AssetCheckResult(
        passed=False,
        asset_key=result.asset_key,
        check_name=result.check_name,
        severity=result.severity if not result.passed else severity,
        description=f"days of other runs that still fail: {len(others):,}, the newest {max(others)}"
        if others
        else None,
        metadata={
            **result.metadata,
            "failing_days": len(failed.days),
            FAILING_HERE: len(failed.days) - len(others),
            "days_that_fail": MetadataValue.table([TableRecord(row) for row in shown]),
        },
    )


def as_result(
    name: str,
    findings: list[dict[str, str | int]],
    severity: AssetCheckSeverity = AssetCheckSeverity.WARN,
    here: int | None = None,
) -> AssetCheckResult:
    """The result of a check as Dagster takes it, with its first 100 findings as a table.

    Args:
        here: how many findings are about what this run did; all of them if that is not known.
    """
    shown = [TableRecord(finding) for finding in findings[:100]]
    return AssetCheckResult(
        check_name=name,
        passed=not findings,
        severity=severity,
        metadata={
            "findings": len(findings),
            **({"first": MetadataValue.table(shown)} if shown else {}),
            **({} if here is None else {FAILING_HERE: here}),
        },
    )


def failed_in_its_run(check: AssetCheckEvaluation) -> bool:
    """Whether a check failed for a day or file of the run that evaluated it, not only for those of other runs."""
    failing = check.metadata.get(FAILING_HERE)
    return not check.passed and (failing is None or failing.value != 0)


def failed_checks(
    instance: DagsterInstance, lake_dir: Path, keys: Iterable[AssetCheckKey], window: Window
) -> list[FailedCheck]:
    """The checks that failed for a day of a window; for checks that know no days, in their newest evaluation."""
    by_day = CheckResults(lake_dir).read(window)
    known = {key: (name_of(key.asset_key), key.name) for key in keys}
    found = [check for name in known.values() if (check := by_day.get(name))]
    found += _newest_failures(instance, [key for key, name in known.items() if name not in by_day])
    return sorted(found, key=lambda check: (check.asset, check.name))


def _newest_failures(instance: DagsterInstance, keys: Iterable[AssetCheckKey]) -> list[FailedCheck]:
    newest = instance.event_log_storage.get_latest_asset_check_execution_by_key(sorted(keys))
    found = []
    for key, record in newest.items():
        event = record.event.dagster_event if record.event else None
        if event is None or event.event_type is not DagsterEventType.ASSET_CHECK_EVALUATION:
            continue
        check = event.asset_check_evaluation_data
        if not check.passed:
            is_error = check.severity is AssetCheckSeverity.ERROR
            found.append(FailedCheck(name_of(key.asset_key), key.name, first_finding(check.metadata), is_error))
    return found


def first_finding(metadata: Mapping[str, object]) -> str:
    """The first row that a check objects to, as a text that follows its name."""
    table = metadata.get("first") or metadata.get("failing_rows")
    if table is None:
        return ""
    records = table.records  # type: ignore[attr-defined]
    first = dict(records[0].data)
    why = first.pop("why", None)
    text = ", ".join(f"{name} {value}" for name, value in first.items())
    more = f", and {len(records) - 1} more" if len(records) > 1 else ""
    return f": {text}{more}" if why is None else f": {text}: {why}{more}"
