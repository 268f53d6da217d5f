"""What a command would make, without making it: the same code decides, and takes what it planned for made.

A forecast is exact as far as runs succeed and rows are known before: which days a changed key occurs in is known only
once the rows are there, and what a file holds once it has landed.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from dagster import AssetKey, DagsterInstance, Definitions

from analytics_assets.automation.run_grouping import PlannedRun
from analytics_assets.automation.staleness import Days
from analytics_assets.foundation.plain_text import plain
from analytics_assets.operations.experience import Experience
from analytics_assets.operations.health import BOTH_CHANGED, CODE_CHANGED, INPUTS_CHANGED, NEVER_MADE
from analytics_assets.operations.runner import Runner
from analytics_assets.partitions import WHOLE, Window, by_day, by_key, contiguous, downstream_days
from analytics_assets.project import Project
from analytics_assets.spec.asset import AssetKind
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.builds import Build, Supposed, builds_of, days_without_partition, supposing

READS = "reads what is made again"
"""The reason of a day whose upstream days are planned."""


@dataclass
class Planned:
    """What would be made of an asset for one reason.

    Attributes:
        days: without those that have none: a view or a seed has the one day WHOLE.
        above: the upstream assets that are made again, if these are the reason.
        rows: how many rows the days would have, by the last time; None if that is not known.
    """

    asset: str
    why: str
    days: set[date] = field(default_factory=set)
    above: set[str] = field(default_factory=set)
    rows: int | None = None

    @property
    def spans(self) -> list[Window]:
        """The spans of consecutive days; none for an asset without days."""
        return [span for span in contiguous(self.days) if span != WHOLE]


class Forecast(Runner):
    """Plans the runs that a `Runner` would execute.

    Attributes:
        supposed: what is taken for made; a forecast of what is done after another begins with the other's.
        runs: in the order in which they would be executed.
        planned: by asset and reason, in the same order.
    """

    def __init__(
        self,
        definitions: Definitions,
        project: Project,
        instance: DagsterInstance,
        supposed: Supposed | None = None,
    ) -> None:
        super().__init__(definitions, project, instance, announce=lambda _: None)
        self.runs: list[PlannedRun] = []
        self.planned: dict[tuple[str, str], Planned] = {}
        self._days = Days(self._settings, self._sources, self._project.catalog)
        self._experience = Experience(instance)
        self.supposed = supposed or Supposed()

    @contextmanager
    def looking_ahead(self) -> Iterator[None]:
        """Within the block, what the runner is told to make is planned, and nothing is written."""
        with supposing(self.supposed):
            yield

    def seconds(self, asset: str) -> float | None:
        """How long the planned runs would work on an asset, by earlier runs; None if there were none."""
        lengths = [len(run.window) for run in self.runs if asset in run.assets]
        return self._experience.seconds(asset, lengths)

    def _execute(self, assets: Sequence[str], window: Window | None, tags: Mapping[str, str] | None = None) -> bool:
        if window is None:
            raise ValueError("what is in a file, or comes from an API, is not known before")
        self.runs.append(PlannedRun(tuple(assets), window))
        for name in assets:  # upstream assets first
            asset, now = self._project.catalog[name], datetime.now(UTC)
            reads = self.upstream[name] if name in self.upstream else self.views[name]
            builds = builds_of(asset, self._settings)
            code = self._graph.get(AssetKey(name)).code_version or ""
            builds.forget(name, days_without_partition(asset, self._settings))
            with self._days.looking(now):
                inputs = self._days.inputs(name, reads, window)
            made = {day: Build(inputs[day], code) for day in window.days()}
            above = self._planned_above(name, window)
            for day, why in self._reasons(name, window, made, above).items():
                one = self.planned.setdefault((name, why), Planned(name, why))
                one.days.add(day)
                one.above |= above[day] if why == READS else set()
            builds.record(name, made)
        return True

    def _reasons(
        self, name: str, window: Window, made: Mapping[date, Build], above: Mapping[date, Set[str]]
    ) -> dict[date, str]:
        """Why each day of a run is made, compared with what is really recorded; a planned day has a reason already."""
        asset, settings = self._project.catalog[name], self._settings
        again = builds_of(asset, settings).supposed(name, window)
        with supposing(None):
            recorded = builds_of(asset, settings).read(name, window)
            there = builds_of(asset, settings).read_what_is_there(name, window)
            attempts = Attempts(settings.lake_dir).read(name, window)
        found: dict[date, str] = {}
        for day, build in made.items():
            before = recorded.get(day)
            if day in again:
                continue
            if attempt := attempts.get(day):
                found[day] = f"failed before: {plain(attempt.reason)}"
            elif before is None:
                found[day] = NEVER_MADE
            elif day not in there:
                found[day] = "its file is gone or was changed"
            elif before.code != build.code:
                found[day] = CODE_CHANGED if day in above or before.inputs == build.inputs else BOTH_CHANGED
            elif asset.kind is AssetKind.RAW and before.inputs != build.inputs:
                found[day] = f"{INPUTS_CHANGED}: new files"
            elif before.inputs_by_day == build.inputs_by_day and before.inputs != build.inputs:
                found[day] = f"{INPUTS_CHANGED}: other keys"
            elif day in above:
                found[day] = READS
            elif before.inputs != build.inputs:
                found[day] = INPUTS_CHANGED
            else:
                found[day] = "made along with the other days of its run"
        return found

    def _planned_above(self, name: str, window: Window) -> Mapping[date, Set[str]]:
        """The upstream assets with planned days, by the day that reads them."""
        again: dict[str, set[date]] = defaultdict(set)
        for one in self.planned.values():
            again[one.asset] |= one.days
        found: dict[date, set[str]] = defaultdict(set)
        for read in by_day(self.upstream.get(name, self.views.get(name, ()))):
            is_whole = window == WHOLE and bool(again[read.asset])
            for day in {WHOLE.start} if is_whole else downstream_days([read], lambda parent: again[parent], window):
                found[day].add(read.asset)
        return found

    def estimated(self) -> list[Planned]:
        """What is planned, in order, with its rows by experience."""
        for one in self.planned.values():
            one.rows = self._experience.rows(one.asset, one.days)
        return list(self.planned.values())

    def by_key(self, names: Set[str]) -> dict[str, set[date]]:
        """The days of some assets that may be made beside the planned ones, at most: which is not known before.

        Those are the days that an upstream day is tied to by key, whether or not the key occurs in them, and what
        reads them.
        """
        now, again = datetime.now(UTC), defaultdict[str, set[date]](set)
        for one in self.planned.values():
            again[one.asset] |= one.days
        found: dict[str, set[date]] = defaultdict(set)
        with self._days.looking(now):
            for name, reads in self.upstream.items():  # upstream first
                if name not in names:
                    continue
                days = self._days.requestable(self._graph, name, now)
                tied = downstream_days(by_key(reads), lambda parent: again[parent] | found[parent], days)
                tied |= downstream_days(by_day(reads), lambda parent: found[parent], days)
                found[name] = tied - again[name]
        return {name: days for name, days in found.items() if days}

    def total_seconds(self) -> tuple[float, int]:
        """The seconds of all assets of which any are known, and of how many assets none are."""
        known = [self.seconds(name) for name in dict.fromkeys(name for run in self.runs for name in run.assets)]
        return sum(one for one in known if one is not None), known.count(None)
