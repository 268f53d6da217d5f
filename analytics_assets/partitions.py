"""Calendar, the days of a domain; Window, a span of days; Read, what a day is made from: days, whole or by key."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from dagster import (
    AllPartitionMapping,
    AssetExecutionContext,
    DailyPartitionsDefinition,
    IdentityPartitionMapping,
    PartitionMapping,
    TimeWindowPartitionMapping,
)

from analytics_assets.settings import Settings

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Calendar:
    """The days of a domain.

    Attributes:
        first, last: the first and last day that have a partition; None for those of the settings.
        timezone: in which days begin and end.
    """

    first: date | None = None
    last: date | None = None
    timezone: str = "UTC"

    @property
    def suffix(self) -> str:
        """Ends the names of steps and schedules of its days; empty for those of the settings, in UTC."""
        zone = "" if self.timezone == "UTC" else self.timezone.replace("+", "_plus_").replace("-", "_minus_")
        return "".join(f"_{part}".replace("/", "_").replace("-", "_") for part in (zone, self.first, self.last) if part)

    def first_day(self, settings: Settings) -> date:
        """The first day that has a partition."""
        return self.first or settings.start_date

    def last_day(self, settings: Settings) -> date | None:
        """The last day that will have a partition; None if it goes on."""
        return self.last or settings.end_date

    def today(self, now: datetime) -> date:
        """The date at an aware time."""
        return now.astimezone(ZoneInfo(self.timezone)).date()


def all_days(settings: Settings, calendars: Iterable[Calendar]) -> Calendar:
    """A calendar whose days are those of some others and of the settings."""
    known = [UTC_DAYS, *calendars]
    last_days = [day for calendar in known if (day := calendar.last_day(settings))]
    first = min(calendar.first_day(settings) for calendar in known)
    return Calendar(first, max(last_days) if len(last_days) == len(known) else None)


UTC_DAYS = Calendar()
"""The calendar of whatever declares none: days of UTC, as the settings have them."""


def daily_partitions(settings: Settings, calendar: Calendar = UTC_DAYS) -> DailyPartitionsDefinition:
    """One partition per elapsed day: the last one is yesterday, or the calendar's last day once that is over."""
    last = calendar.last_day(settings)
    return DailyPartitionsDefinition(
        start_date=calendar.first_day(settings).isoformat(),
        end_date=(last + ONE_DAY).isoformat() if last else None,
        timezone=calendar.timezone,
    )


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

    def within(self, other: "Window") -> "Window | None":
        """The days that are in both; None if there are none."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Window(start, end) if start < end else None

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


def partitioned_days(settings: Settings, now: datetime, calendar: Calendar = UTC_DAYS) -> Window:
    """All days that have a partition at `now` (an aware time); the first day alone while none has elapsed."""
    first, last, today = calendar.first_day(settings), calendar.last_day(settings), calendar.today(now)
    end = today if last is None else min(today, last + ONE_DAY)
    return Window(first, max(end, first + ONE_DAY))


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
    """A partition mapping: day D is made from the upstream days D+start to D+end, both included.

    None leaves a side open: all upstream days up to D+end, or from D+start on.
    """

    start: int | None = 0
    end: int | None = 0

    @property
    def is_open(self) -> bool:
        """Whether it ties a day to days however far away."""
        return self.start is None or self.end is None

    def upstream_of(self, window: Window) -> Window:
        """The upstream days from which the days of a window are made."""
        return Window(_moved(window.start, self.start, date.min), _moved(window.end, self.end, date.max))

    def downstream_of(self, window: Window) -> Window:
        """The days that are made from the upstream days of a window."""
        start = None if self.end is None else -self.end
        end = None if self.start is None else -self.start
        return Window(_moved(window.start, start, date.min), _moved(window.end, end, date.max))

    def __str__(self) -> str:
        return f"[{'~' if self.start is None else self.start}, {'~' if self.end is None else self.end}]"


def _moved(day: date, offset: int | None, if_open: date) -> date:
    """A day later or earlier; `if_open` for an open side, and beyond what a date can be."""
    try:
        return if_open if offset is None else day + timedelta(offset)
    except OverflowError:
        return if_open


@dataclass(frozen=True)
class Read:
    """What a day of an asset is made from: days of an upstream asset; by key, only some of their rows.

    Attributes:
        asset: the upstream asset.
        days: the upstream days.
        key: the columns of the key. Only rows whose key occurs in the day's own rows of the driver are read; without a
            key, all rows are.
        of: the driver, which the asset reads without a key.
        columns: by key, the columns that are read beside it. A change of other columns changes no day.
    """

    asset: str
    days: PartitionOffsets = PartitionOffsets()
    key: tuple[str, ...] = ()
    of: str = ""
    columns: tuple[str, ...] = ()

    @property
    def is_by_key(self) -> bool:
        """Whether it is a mapping by key."""
        return bool(self.key)

    def __str__(self) -> str:
        by = (
            f" by {', '.join(self.key)} of {self.of}: {', '.join(self.columns) or 'the key alone'}"
            if self.is_by_key
            else ""
        )
        return f"{self.asset} {self.days}{by}"


Upstream = Mapping[str, Sequence[Read]]
"""For each asset, what it reads; upstream assets come first."""


def assets_of(reads: Iterable[Read]) -> set[str]:
    """The names of the upstream assets."""
    return {read.asset for read in reads}


def by_day(reads: Iterable[Read]) -> list[Read]:
    """Those that read whole days."""
    return [read for read in reads if not read.is_by_key]


def by_key(reads: Iterable[Read]) -> list[Read]:
    """Those that read by key."""
    return [read for read in reads if read.is_by_key]


def downstream_days(reads: Iterable[Read], days_of: Callable[[str], Iterable[date]], within: Window) -> set[date]:
    """The days of a window that some reads tie to days of their upstream assets."""
    return {
        day
        for read in reads
        for span in contiguous(days_of(read.asset))
        if (days := read.days.downstream_of(span).within(within))
        for day in days.days()
    }


def widest_mapping(reads: Iterable[Read], *, same_days: bool = True) -> PartitionMapping | None:
    """Dagster's mapping for what an asset reads of one other: at least those days, since Dagster knows no keys.

    None maps a day to the same day.

    Args:
        same_days: whether both have the same calendar. If not, one has days that the other lacks.
    """
    offsets = [read.days for read in reads]
    if any(days.is_open for days in offsets):
        return AllPartitionMapping()
    start, end = (
        min((days.start or 0 for days in offsets), default=0),
        max((days.end or 0 for days in offsets), default=0),
    )
    if not same_days:
        return TimeWindowPartitionMapping(start, end, allow_nonexistent_upstream_partitions=True)
    return TimeWindowPartitionMapping(start_offset=start, end_offset=end) if start or end else None


def is_exact(mapping: PartitionMapping | None, reads: Iterable[Read], asset: str) -> bool:
    """Whether Dagster's mapping of an upstream asset names what is read of it, and no more."""
    read = [one for one in reads if one.asset == asset]
    return [(one.days, one.key) for one in read] == [(offsets_of(mapping), ())] and not offsets_of(mapping).is_open


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
        case AllPartitionMapping():
            return PartitionOffsets(None, None)
    raise TypeError(f"{type(mapping).__name__}: days are mapped to days by offsets only")
