"""Check results, by day for the checks that know days.

Dagster judges an asset by the newest evaluation of each check. The checks of raw days, models and the published copy
are evaluated for the days of a run, so a failed day would be forgotten as soon as another day passes. Their result for
each day is kept here, and Dagster gets one evaluation of all days.

`AssetCheckSpec.partitions_def` does not help: in a run of several days a result is recorded for none of them, a second
result is an error, and if evaluations are logged day by day, the last day's is the newest, whatever the others say.
"""

from collections.abc import Iterable, Mapping
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

from analytics_assets.partitions import Window
from analytics_assets.spec.asset import name_of
from analytics_assets.state.database import open_sqlite

_SCHEMA = """
create table if not exists findings (
    asset text not null,
    name text not null,
    day text not null,
    finding text,                -- null where the check passed
    is_error integer not null,
    primary key (asset, name, day)
) without rowid
"""

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
        self._file = lake_dir / "findings.sqlite"

    def record(self, window: Window, evaluations: Iterable[Evaluation]) -> None:
        """Records the results of some checks for all days of a window; a day without an objection passed."""
        rows = [
            (one.asset, one.name, day.isoformat(), one.objections.get(day), one.is_error)
            for one in evaluations
            for day in window.days()
        ]
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED) as connection:
            connection.execute("begin immediate")
            connection.executemany(
                "insert or replace into findings (asset, name, day, finding, is_error) values (?, ?, ?, ?, ?)", rows
            )
            connection.execute("commit")

    def read(self, window: Window) -> dict[tuple[str, str], FailedCheck | None]:
        """By asset and name, every check that was evaluated for a day of the window; None if no day failed."""
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED, writes=False) as connection:
            rows = connection.execute(
                "select asset, name, day, finding, is_error from findings where day >= ? and day < ? order by day",
                (window.start.isoformat(), window.end.isoformat()),
            ).fetchall()
        found: dict[tuple[str, str], FailedCheck | None] = {}
        for asset, name, day, finding, is_error in rows:
            before = found.setdefault((asset, name), None)
            if finding is not None:
                objections = {**(before.objections if before else {}), date.fromisoformat(day): finding}
                error = bool(is_error) or (before is not None and before.is_error)
                found[asset, name] = FailedCheck(asset, name, f": {finding}", error, objections)
        return found


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
