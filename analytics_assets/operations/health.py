"""Health: the days that failed, are missing, are stale, or were made by older code."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from dagster import AssetCheckSeverity, AssetKey, DagsterInstance, RunsFilter

from analytics_assets.automation.graph import of_kind, upstream_by_asset, views_by_asset
from analytics_assets.automation.staleness import Days
from analytics_assets.dagster_internals import NOT_FINISHED_STATUSES, BaseAssetGraph
from analytics_assets.foundation.words import plural
from analytics_assets.ingest.inbox import unexpected_files
from analytics_assets.ingest.landed_files import file_checks
from analytics_assets.ingest.landing import Landing
from analytics_assets.ingest.rows_without_partition import waiting_rows
from analytics_assets.operations.launcher import is_abandoned
from analytics_assets.partitions import (
    EVER,
    WHOLE,
    Read,
    Window,
    contiguous,
    downstream_days,
)
from analytics_assets.project import Project
from analytics_assets.settings import Settings
from analytics_assets.spec.asset import AssetKind, name_of
from analytics_assets.spec.source import Source
from analytics_assets.state.attempts import Attempt, Attempts
from analytics_assets.state.builds import Build, builds_of
from analytics_assets.state.check_results import failed_checks, first_finding
from analytics_assets.state.ledger import Ledger

HEALTH = "health"
"""The asset that records the findings."""


DBT_PROJECT = "dbt_project"
"""The dbt project's folder, in place of an asset's name."""

LISTED_THEMSELVES = ("files_are_readable", "names_are_expected")
"""Checks of files that are not listed, since the health lists each file with them."""


NEVER_MADE = "it was never made, or its making did not end"
INPUTS_CHANGED = "its inputs have changed"
CODE_CHANGED = "its code has changed, or a seed that it reads"
BOTH_CHANGED = f"{INPUTS_CHANGED}, and its code"

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class State(StrEnum):
    """What can be wrong with a day, the worst state first."""

    FAILED = "failed"
    CHECK_FAILED = "check failed"
    MISSING = "missing"
    STALE = "stale"
    WARNING = "warning"
    OLD_CODE = "old code"
    WAITING = "waiting"
    IGNORED = "ignored"
    IN_PROGRESS = "in progress"


@dataclass(frozen=True)
class Finding:
    """A span of days of an asset with something wrong.

    For a landing asset, a finding is about files, and for a view about the whole view: then `days` is None. For a
    check, and where reasons are alike, it spans days that may have gaps: `objected` counts them.
    """

    asset: str
    owner: str
    state: State
    days: Window | None
    why: str
    next_try: str = ""
    objected: int | None = None

    @property
    def count(self) -> int:
        """How many days it is about; 0 if it is not about days."""
        return len(self.days) if self.objected is None and self.days else self.objected or 0


@dataclass(frozen=True)
class Health:
    """All findings, in the order of the assets.

    Attributes:
        assets: how many assets have days, in domains that are on.
        off: the domains for which no file ever landed; none of their assets are made.
    """

    findings: Sequence[Finding]
    taken_at: datetime
    assets: int
    days: int
    off: Sequence[str] = ()

    @property
    def counts(self) -> dict[State, int]:
        """How many days are in each state; a finding without days counts once."""
        found = dict.fromkeys(State, 0)
        for finding in self.findings:
            found[finding.state] += finding.count or 1
        return found

    @property
    def failed(self) -> list[Finding]:
        """The findings that failed: days, files and pulls, and checks that object with an error."""
        return [finding for finding in self.findings if finding.state in (State.FAILED, State.CHECK_FAILED)]

    @property
    def amiss(self) -> list[Finding]:
        """The findings that are not up to date: failed, missing or stale."""
        return [finding for finding in self.findings if finding.state in (State.FAILED, State.MISSING, State.STALE)]


def grouped(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, with one for all days of an asset whose reasons differ only in numbers: it has the first reason.

    Its days may then have gaps. What is about files or checks stays by itself.
    """
    groups: dict[object, list[Finding]] = {}
    for number, finding in enumerate(findings):
        by_itself = number if finding.days is None or finding.objected is not None else None
        alike = tuple(_NUMBER.sub("0", text) for text in (finding.why, finding.next_try))
        groups.setdefault((finding.asset, finding.state, alike, by_itself), []).append(finding)
    return [_as_one(group) for group in groups.values()]


def _as_one(group: Sequence[Finding]) -> Finding:
    first, days = group[0], [one.days for one in group if one.days]
    if len(group) == 1:
        return first
    said_alike = {(one.why, one.next_try) for one in group}
    others = sum(one.count for one in group[1:])
    why = first.why if len(said_alike) == 1 else f"{first.why}, and {plural(others, 'more day')}"
    span = Window(min(one.start for one in days), max(one.end for one in days))
    return replace(first, days=span, why=why, objected=sum(one.count for one in group))


def check_health(graph: BaseAssetGraph, project: Project, instance: DagsterInstance, now: datetime) -> Health:
    """Compares every day of every asset with what it should be made from.

    A day also counts as stale while one of its upstream days is failed, missing or stale, since it will change.

    Args:
        now: an aware UTC time.
    """
    settings, sources, catalog = project.settings, project.sources, project.catalog
    upstream = upstream_by_asset(graph)
    owners = {name_of(key): ", ".join(graph.get(key).owners) for key in graph.toposorted_asset_keys}
    codes = {name_of(key): graph.get(key).code_version or "" for key in graph.toposorted_asset_keys}
    partitions, running = project.days(now), _running(instance)
    days = Days(settings, sources, catalog)
    findings = [
        Finding(DBT_PROJECT, "", State.FAILED, None, fault, "when its files change") for fault in project.faults
    ]
    findings += [
        finding
        for source in sources
        for finding in _landing_findings(source, settings, owners[source.landed_asset], now)
    ]
    findings += [
        Finding("inbox", "", State.IGNORED, None, unexpected)
        for unexpected in unexpected_files(settings.inbox_dir, project.known_sources)
    ]
    for name in sorted(of_kind(graph, AssetKind.EXTRACT)):
        findings += _pull_findings(name, settings, owners[name], running)
    unwell: dict[str, Set[date]] = {}
    reports = of_kind(graph, AssetKind.REPORT)
    off = days.off(graph)
    upstream = {name: reads for name, reads in upstream.items() if name not in off}
    for name, reads in upstream.items():
        newest = days.newest(graph, name, now)
        window = Window.of_days(newest, newest) if name in reports else days.partitioned(name, now)  # older: on demand
        judge = _judge(
            codes[name],
            days.inputs(name, reads, window),
            builds_of(catalog[name], settings).read_what_is_there(name, window),
            Attempts(settings.lake_dir).read(name, window),
            running,
            _waits_for(reads, unwell, lambda parent: days.failed_upstream(graph, parent, now), window),
            now,
        )
        verdicts = {day: verdict for day in window.days() if (verdict := judge(day))}
        unwell[name] = {day for day, (state, _, _) in verdicts.items() if state is not State.OLD_CODE}
        for verdict in sorted(dict.fromkeys(verdicts.values()), key=lambda verdict: list(State).index(verdict[0])):
            state, why, next_try = verdict
            for span in contiguous(day for day, its_verdict in verdicts.items() if its_verdict == verdict):
                findings.append(Finding(name, owners[name], state, span, why, next_try))
    for name, reads in views_by_asset(graph).items():
        if name in off:
            continue
        judge = _judge(
            codes[name],
            days.inputs(name, reads, WHOLE),
            builds_of(catalog[name], settings).read(name, WHOLE),
            Attempts(settings.lake_dir).read(name, WHOLE),
            running,
            _waits_for_any(reads, days),
            now,
        )
        if verdict := judge(WHOLE.start):
            state, why, next_try = verdict
            by_itself = "at the next tick" if state is State.OLD_CODE else next_try  # that rewrites no rows
            findings.append(Finding(name, owners[name], state, None, why, by_itself))
    findings += [
        finding for finding in _failed_checks(graph, instance, settings, owners, partitions) if finding.asset not in off
    ]
    domains = {graph.get(AssetKey(name)).group_name or "" for name in off}
    return Health(findings, now, len(upstream), len(partitions), sorted(domains))


def _running(instance: DagsterInstance) -> set[str]:
    runs = instance.get_runs(RunsFilter(statuses=NOT_FINISHED_STATUSES))
    return {run.run_id for run in runs if not is_abandoned(instance, run)}


def _waits_for(
    reads: Sequence[Read], unwell: Mapping[str, Set[date]], failed: Callable[[str], Set[date]], window: Window
) -> Callable[[date], str | None]:
    """A function from a day to the first upstream asset on whose days something is wrong; None if there is none.

    By key, a day does not wait for those that failed.
    """

    def waiting(read: Read) -> set[date]:
        apart = failed(read.asset) if read.is_by_key else set[date]()
        return downstream_days([read], lambda name: unwell.get(name, set()) - apart, window)

    days_by_read = {read: waiting(read) for read in reads}
    return lambda day: next((read.asset for read, days in days_by_read.items() if day in days), None)


def _waits_for_any(reads: Sequence[Read], days: Days) -> Callable[[date], str | None]:
    """A function that returns the first upstream asset that was never made; None if there is none."""
    return lambda _: next((read.asset for read in reads if not days.is_made(read.asset)), None)


def _judge(
    code: str,
    inputs: Mapping[date, str],
    built: Mapping[date, Build],
    attempts: Mapping[date, Attempt],
    running: Set[str],
    waits_for: Callable[[date], str | None],
    now: datetime,
) -> Callable[[date], tuple[State, str, str] | None]:
    """A function from a day to its state, the reason and the next try; None if nothing is wrong."""

    def judge(day: date) -> tuple[State, str, str] | None:
        attempt, build = attempts.get(day), built.get(day)
        out_of_date = build is None or build.inputs != inputs[day]
        if attempt and attempt.run_id in running:
            return State.IN_PROGRESS, f"in run {attempt.run_id[:8]}", ""
        if attempt and out_of_date and (attempt.build.inputs, attempt.build.code) == (inputs[day], code):
            return State.FAILED, attempt.reason, _next_try(attempt, now)
        if parent := waits_for(day):
            return (State.STALE if build else State.MISSING), f"waits for {parent}", ""
        if build is None:
            return State.MISSING, NEVER_MADE, ""
        if out_of_date:
            return State.STALE, INPUTS_CHANGED if build.code == code else BOTH_CHANGED, ""
        if build.code != code:
            return State.OLD_CODE, CODE_CHANGED, "with `analytics-assets rollout`"
        return None

    return judge


def _next_try(attempt: Attempt, now: datetime) -> str:
    next_at = attempt.next_at()
    if next_at is None:
        return "not again until its inputs or its code change"
    return "again at the next tick" if next_at <= now else f"again at {next_at:%Y-%m-%d %H:%M} UTC"


def _failed_checks(
    graph: BaseAssetGraph, instance: DagsterInstance, settings: Settings, owners: Mapping[str, str], window: Window
) -> Iterator[Finding]:
    live = {HEALTH, *of_kind(graph, AssetKind.LANDED)}  # these are judged by what there is now
    keys = [key for key in graph.asset_check_keys if name_of(key.asset_key) not in live]
    for check in failed_checks(instance, settings.lake_dir, keys, window):
        state = State.CHECK_FAILED if check.is_error else State.WARNING
        span = Window.of_days(min(check.days), max(check.days)) if check.days else None
        why = f"{check.name}{check.finding}"
        yield Finding(check.asset, owners[check.asset], state, span, why, objected=len(check.days))


def _pull_findings(name: str, settings: Settings, owner: str, running: Set[str]) -> Iterator[Finding]:
    """The newest of the pulls that have not succeeded since; the next pull brings what they missed."""
    attempts = Attempts(settings.lake_dir).read(name, EVER)
    for day in sorted(attempts)[-1:]:
        attempt, window = attempts[day], Window.of_days(day, day)
        if attempt.run_id in running:
            yield Finding(name, owner, State.IN_PROGRESS, window, f"in run {attempt.run_id[:8]}")
        else:
            next_try = "again tomorrow" if attempt.permanent else "again within the hour"
            yield Finding(name, owner, State.FAILED, window, attempt.reason, next_try)


def _landing_findings(source: Source, settings: Settings, owner: str, now: datetime) -> Iterator[Finding]:
    name, folder = source.landed_asset, settings.inbox_dir / source.name
    for path, why in sorted(Ledger(settings.lake_dir).unreadable(source).items()):
        if os.path.lexists(folder / path):
            yield Finding(name, owner, State.FAILED, None, f"{path}: {why}", "again when the file changes")
    found = Landing(settings, source).look()
    for path, why in sorted(found.closed.items()):
        yield Finding(name, owner, State.FAILED, None, f"{path}: {why}", "once it can be listed")
    for path, why in sorted(found.ignored.items()):
        yield Finding(name, owner, State.IGNORED, None, f"{path}: {why}", "when it is renamed")
    for check in file_checks(source, settings, closed=found.closed, ignored=found.ignored):
        if not check.passed and check.check_name not in LISTED_THEMSELVES:
            state = State.CHECK_FAILED if check.severity is AssetCheckSeverity.ERROR else State.WARNING
            yield Finding(name, owner, state, None, f"{check.check_name}{first_finding(check.metadata)}")
    if waiting := len(found.new) + len(found.unsettled):
        yield Finding(
            name,
            owner,
            State.MISSING,
            None,
            f"{plural(waiting, 'file in the inbox has', 'files in the inbox have')} not landed",
            "",
        )
    for sentence in waiting_rows(source, settings, now):
        yield Finding(name, owner, State.WAITING, None, sentence)
