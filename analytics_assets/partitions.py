"""The daily partitions; Window, a span of days; PartitionOffsets, the upstream days that a day is made from."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from dagster import (
    AssetExecutionContext,
    DailyPartitionsDefinition,
    IdentityPartitionMapping,
    PartitionMapping,
    TimeWindowPartitionMapping,
)

from analytics_assets.settings import Settings

ONE_DAY = timedelta(days=1)


def daily_partitions(settings: Settings) -> DailyPartitionsDefinition:
    """One partition per elapsed UTC day: the last one is yesterday, or `end_date` once that day is over."""
    end = None if settings.end_date is None else (settings.end_date + ONE_DAY).isoformat()
    return DailyPartitionsDefinition(start_date=settings.start_date.isoformat(), end_date=end, timezone="UTC")


@dataclass(frozen=True)
class Window:
    """The days from `start` up to, and not including, `end`."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"a window needs at least one day, but {self.start} is not before {self.end}")

    @classmethod
    def of_days(cls, first: date, last: date) -> "Window":
        """The window from `first` to `last`, both included."""
        return cls(first, last + ONE_DAY)

    @classmethod
    def of_run(cls, context: AssetExecutionContext) -> "Window":
        """The window of a run's partition, or of its range of partitions; WHOLE for assets without days."""
        if context.assets_def.partitions_def is None:
            return WHOLE
        keys = context.partition_key_range
        return cls.of_days(date.fromisoformat(keys.start), date.fromisoformat(keys.end))

    def holds(self, day: date) -> bool:
        """Whether a day is in the window."""
        return self.start <= day < self.end

    def days(self) -> Iterator[date]:
        """Each day, oldest first."""
        for number in range(len(self)):
            yield self.start + number * ONE_DAY

    def __len__(self) -> int:
        return (self.end - self.start).days

    def __str__(self) -> str:
        if self == WHOLE:
            return "all days"
        last = self.end - ONE_DAY
        return str(self.start) if last == self.start else f"{self.start} to {last}"


WHOLE = Window.of_days(date.min, date.min)
"""The one day of an asset without days (a view, a table function, a seed), for records that are kept by day."""

EVER = Window(date.min, date.max)
"""Every day that can be recorded, WHOLE included."""


def partitioned_days(settings: Settings, now: datetime) -> Window:
    """All days that have a partition at `now` (an aware UTC time); the first day alone while none has elapsed."""
    end = now.date() if settings.end_date is None else min(now.date(), settings.end_date + ONE_DAY)
    return Window(settings.start_date, max(end, settings.start_date + ONE_DAY))


def contiguous(days: Iterable[date]) -> list[Window]:
    """The spans of consecutive days, oldest first."""
    spans: list[Window] = []
    for day in sorted(set(days)):
        if spans and spans[-1].end == day:
            spans[-1] = Window(spans[-1].start, day + ONE_DAY)
        else:
            spans.append(Window.of_days(day, day))
    return spans


@dataclass(frozen=True)
class PartitionOffsets:
    """A partition mapping: day D is made from the upstream days D+start to D+end, both included."""

    start: int = 0
    end: int = 0

    def upstream_of(self, window: Window) -> Window:
        """The upstream days from which the days of a window are made."""
        return Window(window.start + timedelta(self.start), window.end + timedelta(self.end))

    def downstream_of(self, window: Window) -> Window:
        """The days that are made from the upstream days of a window."""
        return Window(window.start - timedelta(self.end), window.end - timedelta(self.start))


def offsets_of(mapping: PartitionMapping | None) -> PartitionOffsets:
    """The offsets of a Dagster partition mapping; None maps a day to the same day.

    Raises:
        TypeError: offsets cannot express the mapping.
    """
    match mapping:
        case None | IdentityPartitionMapping():
            return PartitionOffsets()
        case TimeWindowPartitionMapping():
            return PartitionOffsets(mapping.start_offset, mapping.end_offset)
    raise TypeError(f"{type(mapping).__name__}: days are mapped to days by offsets only")
