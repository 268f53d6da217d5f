"""The daily partitions, and Window: the half-open span of days that one run works on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from dagster import AssetExecutionContext, DailyPartitionsDefinition

from analytics_assets.settings import Settings

ONE_DAY = timedelta(days=1)


def daily_partitions(settings: Settings) -> DailyPartitionsDefinition:
    """One partition per elapsed UTC day: the last one is yesterday, or the last day of a history that is closed."""
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
        """Whether a day is one of them."""
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
"""Stands for all of an asset that has no days (a view, a table function) where records are kept by day."""

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
