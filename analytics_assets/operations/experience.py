"""What earlier runs took: rows and seconds of each asset, as Dagster's event log has them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache

from dagster import AssetKey, DagsterInstance

from analytics_assets.dagster_internals import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from analytics_assets.partitions import WHOLE

EVENTS = 200
"""The most materializations of an asset that are looked at, newest first."""

RUNS = 3
"""The most runs of an asset whose time is looked at, newest first."""

DURATION = "Execution Duration"
"""The metadata with the seconds of a model; dagster-dbt's name."""


@dataclass
class _Past:
    rows: dict[date, int] = field(default_factory=dict)
    runs: dict[str, float | None] = field(default_factory=dict)  # the seconds that are in the event, by run


class Experience:
    """The rows and seconds of earlier runs on an instance."""

    def __init__(self, instance: DagsterInstance) -> None:
        self._instance = instance
        self._past, self._run, self._steps = cache(self._read), cache(self._run_of), cache(self._steps_of)

    def rows(self, asset: str, days: Collection[date]) -> int | None:
        """How many rows some days have: as many as the last time, or as the other days on average."""
        held = self._past(asset).rows
        if not held or not days:
            return None
        average = sum(held.values()) / len(held)
        return round(sum(held.get(day, average) for day in days))

    def seconds(self, asset: str, lengths: Sequence[int]) -> float | None:
        """How long runs of so many days work on an asset.

        Each takes as long as the known run of the most similar length, and in proportion if it is longer: of a short
        run, most of the time is spent whatever the number of days.
        """
        known = self._known(asset)
        if not known or not lengths:
            return None
        total = 0.0
        for length in lengths:
            days, seconds = min(known, key=lambda one: abs(one[0] - length))
            total += seconds * max(1.0, length / days)
        return total

    def longest(self, asset: str) -> tuple[float, int] | None:
        """The seconds and the days of the known run with the most days; None if none is known."""
        days, seconds = max(self._known(asset), key=lambda one: one[0], default=(0, 0.0))
        return (seconds, days) if days else None

    def _known(self, asset: str) -> list[tuple[int, float]]:
        """Days and seconds of the last runs of an asset, the newest first."""
        return [
            (days, seconds)
            for run_id, in_event in list(self._past(asset).runs.items())[:RUNS]
            if (seconds := self._steps(run_id).get(asset) if in_event is None else in_event) is not None
            for days in [self._run(run_id)]
        ]

    def _read(self, asset: str) -> _Past:
        past = _Past()
        for record in self._instance.fetch_materializations(AssetKey(asset), limit=EVENTS).records:
            event = record.asset_materialization
            if event is None:
                continue
            rows, duration = event.metadata.get("dagster/partition_row_count"), event.metadata.get(DURATION)
            day = date.fromisoformat(event.partition) if event.partition else WHOLE.start
            if rows is not None:
                past.rows.setdefault(day, int(str(rows.value)))
            past.runs.setdefault(record.run_id, float(str(duration.value)) if duration is not None else None)
        return past

    def _run_of(self, run_id: str) -> int:
        """How many days a run had."""
        run = self._instance.get_run_by_id(run_id)
        tags = run.tags if run else {}
        first, last = tags.get(ASSET_PARTITION_RANGE_START_TAG), tags.get(ASSET_PARTITION_RANGE_END_TAG)
        return (date.fromisoformat(last) - date.fromisoformat(first)).days + 1 if first and last else 1

    def _steps_of(self, run_id: str) -> dict[str, float]:
        """The seconds of a run's steps, by step; a step that makes several assets is no one's."""
        return {
            step.step_key: step.end_time - step.start_time
            for step in self._instance.get_run_step_stats(run_id)
            if step.start_time and step.end_time
        }
