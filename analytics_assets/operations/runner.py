"""Executes a plan of runs in this process, on the instance that the UI shows, and remembers what failed."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from dagster import (
    AssetCheckSeverity,
    AssetKey,
    DagsterEventType,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
)

from analytics_assets.automation.graph import (
    linked_assets,
    of_kind,
    seeds_by_asset,
    upstream_by_asset,
    views_by_asset,
)
from analytics_assets.automation.run_grouping import (
    NO_RETRY,
    PlannedRun,
    group_into_runs,
    same_window,
    span_tags,
    tied_windows,
)
from analytics_assets.automation.staleness import Days
from analytics_assets.dagster_internals import PRIORITY_TAG, requested_partitions
from analytics_assets.dbt.step import forget_dropped_tables
from analytics_assets.extract.assets import no_address
from analytics_assets.foundation.failures import INTERRUPTS, in_brief, reason_of
from analytics_assets.foundation.plain_text import logger_of
from analytics_assets.foundation.words import plural
from analytics_assets.ingest.inbox import Look, unexpected_files
from analytics_assets.ingest.landed_files import SPEC_HAS_CHANGED, read_by_another_spec
from analytics_assets.ingest.landing import Landing
from analytics_assets.ingest.rows_without_partition import waiting_rows
from analytics_assets.operations.health import HEALTH
from analytics_assets.operations.launcher import PID_TAG
from analytics_assets.partitions import (
    UTC_DAYS,
    WHOLE,
    Calendar,
    Window,
    assets_of,
    by_day,
    by_key,
    contiguous,
    partitioned_days,
)
from analytics_assets.project import Project
from analytics_assets.spec.asset import AssetKind, name_of
from analytics_assets.spec.source import Source
from analytics_assets.state.attempts import KILLED, Attempts
from analytics_assets.state.builds import builds_of
from analytics_assets.state.check_results import failed_in_its_run, first_finding
from analytics_assets.state.ledger import Ledger
from analytics_assets.warehouse.interface import CannotRead

logger = logger_of(__name__)

ROLL_OUT_PRIORITY = "-10"

UNSETTLED_SECONDS = 60
"""How long to wait for a file that is being written; at least ten times as long as a file takes to settle."""


@dataclass
class Outcome:
    """The result of a series of runs.

    Attributes:
        made: days and rows made, by asset.
        files: the newest file that was written, or the link of the sheet, by report.
        views: the models without days, and the seeds, that were made.
        failures: one sentence per failure.
        warnings: one sentence per warning, of checks and of files in the inbox.
    """

    made: dict[str, dict[date, int]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    views: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Runner:
    """Executes runs in this process, on the instance that the UI shows.

    Its outcome begins with the faults of the dbt project: the models concerned are not in the graph.
    """

    def __init__(
        self,
        definitions: Definitions,
        project: Project,
        instance: DagsterInstance,
        announce: Callable[[str], None] = logger.info,
    ) -> None:
        self._definitions, self._project = definitions, project
        self._sources, self._settings = project.sources, project.settings
        self._instance, self._announce = instance, announce
        self._job = definitions.resolve_implicit_global_asset_job_def()
        self._graph = definitions.resolve_asset_graph()
        self.upstream, self.views = upstream_by_asset(self._graph), views_by_asset(self._graph)
        self.seeds = seeds_by_asset(self._graph)
        self.reports = of_kind(self._graph, AssetKind.REPORT)
        self.extracts = of_kind(self._graph, AssetKind.EXTRACT)
        self.published = of_kind(self._graph, AssetKind.PUBLISHED)
        self._last_run_id, self._failed_steps = "", set[str]()
        self.outcome = Outcome(failures=[f"dbt_project: {fault}" for fault in project.faults])

    def pull(self, names: Set[str]) -> None:
        """Pulls the APIs of some extracts that have an address; if only extracts are selected, each must have one."""
        today = datetime.now(UTC).date()
        for extract in sorted(self._project.extracts, key=lambda extract: extract.asset):
            name, source = extract.asset, extract.source.name
            if name not in names:
                continue
            if source in self._settings.api:
                self._execute([name], Window.of_days(today, today))
            elif names <= self.extracts:
                self.outcome.failures.append(f"{name}: {no_address(source)}")

    def land(self, names: Set[str]) -> None:
        """Lands every file in the inbox for some landing assets, and waits for files that are being written."""
        sources = [source for source in self._sources if source.landed_asset in names]
        ledger, settle_seconds = Ledger(self._settings.lake_dir), self._settings.inbox_settle_seconds
        refused_before = {source.name: ledger.unreadable(source) for source in sources}
        patience = max(UNSETTLED_SECONDS, 10 * settle_seconds)
        deadline = time.monotonic() + patience
        looks: dict[str, Look] = {}
        coming = sources
        while coming:
            looks |= {source.name: Landing(self._settings, source).look() for source in coming}
            if new := [source for source in coming if looks[source.name].new]:
                if not self._execute([source.landed_asset for source in new], None):
                    failed = self._failed_steps or {source.landed_asset for source in new}
                    coming = [source for source in coming if source.landed_asset not in failed]
                deadline = time.monotonic() + patience
                continue
            coming = [source for source in coming if looks[source.name].unsettled]
            if not coming or time.monotonic() >= deadline:
                break
            first = looks[coming[0].name].unsettled[0]
            self._announce(f"waiting for {first.path}, which is still being written")
            time.sleep(min(1.0, settle_seconds))
        for source in sources:
            self._tell_of_files(source, looks[source.name], refused_before[source.name])
        if names >= {source.landed_asset for source in self._sources}:
            self.outcome.warnings += unexpected_files(self._settings.inbox_dir, self._project.known_sources)

    def _tell_of_files(self, source: Source, found: Look, refused_before: Mapping[str, str]) -> None:
        """Notes what the last look found that did not land, and the rows that wait."""
        folder = self._settings.inbox_dir / source.name
        told = [f"{file.path} is still being written; it is left for the next time" for file in found.unsettled]
        told += [f"{path} is no file of this source: {why}" for path, why in sorted(found.ignored.items())]
        for path, why in Ledger(self._settings.lake_dir).unreadable(source).items():
            if refused_before.get(path) == why and os.path.lexists(folder / path):
                told.append(f"{path} still cannot be read: {why}")
        self.outcome.warnings += [f"{source.name}: {sentence}" for sentence in told]
        told = waiting_rows(source, self._settings, datetime.now(UTC))
        self.outcome.warnings += [f"{source.name}: {sentence}" for sentence in told]
        self.outcome.failures += [f"{source.name}: {path}: {why}" for path, why in sorted(found.closed.items())]

    def on(self, names: Set[str]) -> Set[str]:
        """The assets that are on: a domain is off until its first file arrives."""
        return names - Days(self._settings, self._sources, self._project.catalog).off(self._graph)

    def changed_specs(self, names: Set[str]) -> list[str]:
        """A sentence for each source that some assets are made from whose spec no longer reads its files as it did.

        No code version of a model tells of it, so neither a plan nor a rollout makes these days again.
        """
        return [
            f"{source.name}: {SPEC_HAS_CHANGED} ({plural(len(paths), 'file')}, first {paths[0]})"
            for source in self._sources
            if {source.landed_asset, source.raw_asset} & names
            and (paths := read_by_another_spec(source, self._settings))
        ]

    def not_landed(self, names: Set[str]) -> dict[str, int]:
        """How many files in the inbox have not landed, by source, for some landing assets."""
        looks = {
            source.name: Landing(self._settings, source).look()
            for source in self._sources
            if source.landed_asset in names
        }
        return {name: len(look.new) + len(look.unsettled) for name, look in looks.items()}

    def make(self, plan: Iterable[PlannedRun], tags: Mapping[str, str] | None = None) -> bool:
        """Executes some runs; a failed run stops only what is downstream of it.

        Seeds that the assets read are loaded first if they are missing or their files have changed. If some days of a
        run failed, the days downstream of its other days are made afterwards.

        Returns:
            Whether all runs succeeded.
        """
        runs = list(plan)
        self._forget_dropped_tables({name for run in runs for name in run.assets})
        failed = self._load_seeds({name for run in runs for name in run.assets})
        failed_days: set[tuple[str, date]] = set()
        for run in runs:
            assets = []
            for name in run.assets:  # upstream assets first
                if failed & {*assets_of(by_day(self.upstream[name])), *self.seeds.get(name, ())}:
                    failed.add(name)
                else:
                    assets.append(name)
            if assets and not self._execute(assets, run.window, tags):
                failed |= set(assets)
                failed_days |= self._failed_days(PlannedRun(tuple(assets), run.window))
        if failed:
            planned = {(name, day) for run in runs for name in run.assets for day in run.window.days()}
            self._tick_until_settled(failed, failed_days, planned)
        return not failed

    def _forget_dropped_tables(self, names: Set[str]) -> None:
        with suppress(CannotRead):  # each step that cannot read reports it, with its days
            catalog = self._project.catalog
            forget_dropped_tables([catalog[name] for name in names if name in catalog], self._project)

    def _load_seeds(self, names: Set[str]) -> set[str]:
        """Loads the seeds that some assets read and that are not up to date; returns those that could not be loaded."""
        seeds = self._seeds_of(names)
        self.settle(seeds)
        built = {
            name: builds_of(self._project.catalog[name], self._settings).read(name, WHOLE).get(WHOLE.start)
            for name in seeds
        }
        codes = {name: self._graph.get(AssetKey(name)).code_version for name in seeds}
        return {name for name, build in built.items() if build is None or build.code != codes[name]}

    def _seeds_of(self, names: Set[str]) -> set[str]:
        return set().union(*(self.seeds.get(name, set()) for name in names))

    def plan_of_range(self, names: Set[str], window: Window) -> list[PlannedRun]:
        """The runs that make the days of a range, and the days that partition mappings tie to it.

        The automation makes only the newest report; the reports of the range are made if nothing else is selected,
        and the analyses that they show.
        """
        reports = self._with_analyses(self.reports & names)
        windows = tied_windows(self.upstream, (names - self.reports) or reports, window, self._partitions)
        return self._grouped(same_window(windows, self._calendar_of))

    def _with_analyses(self, reports: Set[str]) -> set[str]:
        """Some reports, and the analyses that they show, however far up: reports that others read are analyses."""
        found, waiting = set[str](), set(reports)
        while waiting:
            found |= waiting
            waiting = set().union(*(assets_of(self.upstream[name]) for name in waiting)) & self.reports - found
        return found

    def _calendar_of(self, name: str) -> Calendar:
        known = self._project.catalog.get(name)  # a domain may have assets of its own making
        return known.calendar if known else UTC_DAYS

    def _partitions(self, name: str) -> Window:
        """All days of an asset that have a partition."""
        return partitioned_days(self._settings, datetime.now(UTC), self._calendar_of(name))

    def _grouped(self, windows: Mapping[str, Sequence[Window]]) -> list[PlannedRun]:
        return group_into_runs({**self.upstream, **self.views}, windows, self._calendar_of)

    def readers_by_key(self, names: Set[str]) -> set[str]:
        """Those of some assets that read others of them by key, and what is made from those.

        Which of their days are tied to a change is known only once it is made.
        """
        found: set[str] = set()
        for name in self.upstream:  # upstream first
            reads = self.upstream[name]
            if name in names and ((assets_of(by_key(reads)) & names) or (assets_of(reads) & found)):
                found.add(name)
        return found

    def stale(self, names: Set[str]) -> set[tuple[str, date]]:
        """The days of some assets that are out of date, or will be once their upstream days are made."""
        days, now = Days(self._settings, self._sources, self._project.catalog), datetime.now(UTC)
        with days.looking(now):
            return {(name, day) for name in names for day in days.stale(self._graph, name, now)}

    def settle_by_key(self, names: Set[str], before: Set[tuple[str, date]]) -> None:
        """Makes the days that read by key what the runs before have changed.

        Args:
            before: the days that were stale before those runs; these are left.
        """
        readers = self.readers_by_key(names)
        if only := self.stale(readers) - before:
            self._tick_until_settled(readers, only=only)

    def settle(self, names: Set[str]) -> None:
        """Does what the automation would do for some assets, tick by tick, until it requests nothing more.

        The seeds that they read are included: the automation requests nothing before the seeds it reads are loaded.
        Days that failed before are tried once more, however often they failed: the caller may have fixed the cause.
        """
        if not names:
            return
        names = names | self._seeds_of(names)
        self._forget_dropped_tables(names)
        Attempts(self._settings.lake_dir).wake(names - self.extracts)
        self._tick_until_settled(names)

    def _tick_until_settled(
        self, names: Set[str], given_up: Set[tuple[str, date]] = frozenset(), only: Set[tuple[str, date]] | None = None
    ) -> None:
        """Makes what the automation requests for some assets, except days that are given up or fail meanwhile.

        After the first tick it looks only at what is linked to the assets of the runs: the others have not changed,
        and a look at them would cost as much as at those that have.
        """
        linked = linked_assets(self._graph)
        while plan := self._tick(names, given_up, only):
            names = names & frozenset().union(*(linked[name] for run in plan for name in run.assets))
            for run in plan:
                if not self._execute(list(run.assets), run.window):
                    given_up = given_up | self._failed_days(run)
                    break  # the rest of the plan may read what failed; the next tick knows which days

    def _tick(
        self, names: Set[str], given_up: Set[tuple[str, date]], only: Set[tuple[str, date]] | None = None
    ) -> list[PlannedRun]:
        """The runs that the automation requests now, except the days that are given up."""
        return self._grouped(self._requested(names, given_up, only))

    def _requested(
        self, names: Set[str], given_up: Set[tuple[str, date]], only: Set[tuple[str, date]] | None = None
    ) -> dict[str, list[Window]]:
        found = requested_partitions(self._definitions, self._instance, map(AssetKey, names))
        windows = {}
        for name in (*self.upstream, *self.views):
            requested = {date.fromisoformat(key) if key else WHOLE.start for key in found.get(AssetKey(name), ())}
            windows[name] = contiguous(
                day for day in requested if (name, day) not in given_up and (only is None or (name, day) in only)
            )
        return windows

    def _failed_days(self, run: PlannedRun) -> set[tuple[str, date]]:
        """The days of a run that failed; all of its days if it failed before it tried any."""
        tried = set(Attempts(self._settings.lake_dir).of_run(self._last_run_id))
        return tried or {(name, day) for name in run.assets for day in run.window.days()}

    def record_health(self) -> None:
        """Records the state of all days in the asset that shows it, as the schedule does each day."""
        self._execute([HEALTH], None)

    def roll_out(self, names: Set[str], days_per_run: int) -> None:
        """Makes the days again that older code made, and the days downstream of them, newest first.

        Progress is recorded by day, so that a rollout resumes where it was stopped. Its runs have a low priority in the
        pools, so that other runs wait for one range at most. It ends at the first range that fails. Views and the
        newest reports come last; older reports are made on demand.
        """
        all_but_reports = set(self.upstream) - self.reports
        stale = self.stale(self.readers_by_key(all_but_reports))
        while old := self._made_by_older_code(names - self.reports):
            days = set.union(*old.values())
            last = max(days)
            window = Window.of_days(last - timedelta(days_per_run - 1), last)
            self._announce(f"{plural(len(days), 'day was', 'days were')} made by older code; the newest is {last}")
            chosen = {name for name, its_days in old.items() if not its_days.isdisjoint(window.days())}
            for name, reads in self.upstream.items():
                if chosen & assets_of(by_day(reads)) and name not in self.reports:
                    chosen.add(name)
            windows = tied_windows(self.upstream, chosen, window, self._partitions)
            plan = self._grouped({name: [window] for name, window in windows.items()})
            if not self.make(plan, {PRIORITY_TAG: ROLL_OUT_PRIORITY}):
                return
        self.settle_by_key(all_but_reports, stale)
        self.settle(names & (set(self.views) | self.reports))

    def _made_by_older_code(self, names: Set[str]) -> dict[str, set[date]]:
        """The days made by older code, by asset; includes the unrecorded days of a range that was killed."""
        found = {}
        for name in names & set(self.upstream):
            code, partitions = self._graph.get(AssetKey(name)).code_version or "", self._partitions(name)
            builds = builds_of(self._project.catalog[name], self._settings).read(name, partitions)
            attempts = Attempts(self._settings.lake_dir).read(name, partitions)
            killed = {day for day, attempt in attempts.items() if attempt.reason == KILLED and day not in builds}
            if days := killed | {day for day, build in builds.items() if build.code != code}:
                found[name] = days
        return found

    def _execute(self, assets: Sequence[str], window: Window | None, tags: Mapping[str, str] | None = None) -> bool:
        days = None if window == WHOLE else window
        span = f" for {days}" if days else ""
        self._announce(f"{assets[0] if len(assets) == 1 else f'{assets[0]} … {assets[-1]}'}{span}")
        result = self._job.execute_in_process(
            instance=self._instance,
            asset_selection=[AssetKey(name) for name in assets],
            tags={**NO_RETRY, PID_TAG: str(os.getpid()), **(span_tags(days) if days else {}), **(tags or {})},
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        self._last_run_id, self._failed_steps = result.run_id, set()
        _raise_interruption(result)
        for event in result.all_events:
            if event.event_type is DagsterEventType.ASSET_MATERIALIZATION and event.partition:
                materialization = event.step_materialization_data.materialization
                rows = materialization.metadata.get("dagster/partition_row_count")
                made = self.outcome.made.setdefault(name_of(materialization.asset_key), {})
                made[date.fromisoformat(event.partition)] = int(str(rows.value)) if rows else 0
                if file := materialization.metadata.get("file") or materialization.metadata.get("sheet"):
                    self.outcome.files[name_of(materialization.asset_key)] = str(file.value)
            elif event.event_type is DagsterEventType.ASSET_MATERIALIZATION and window == WHOLE:
                self.outcome.views.append(name_of(event.step_materialization_data.materialization.asset_key))
            elif event.is_step_failure:
                self._failed_steps.add(event.step_key or "")
                error = event.step_failure_data.error
                self.outcome.failures.append(f"{event.step_key}{span}: {in_brief(reason_of(error))}")
        for check in result.get_asset_check_evaluations():
            if failed_in_its_run(check):
                sentence = (
                    f"check {check.check_name} of {name_of(check.asset_key)}{span}{first_finding(check.metadata)}"
                )
                is_error = check.severity is AssetCheckSeverity.ERROR
                (self.outcome.failures if is_error else self.outcome.warnings).append(sentence)
        return result.success


def _raise_interruption(result: ExecuteInProcessResult) -> None:
    """Raises the interruption that ended a run, since Dagster treats it as an ordinary failure.

    Raises:
        KeyboardInterrupt: the run was interrupted.
    """
    names = {interrupt.__name__ for interrupt in INTERRUPTS}
    for event in result.all_events:
        error = getattr(event.event_specific_data, "error", None)
        while error is not None:
            if error.cls_name in names:
                raise KeyboardInterrupt
            error = error.cause
