"""Sample files from the distributions of real ones: shares of their categories, quantiles of their numbers.

What identifies somebody or something is made up. The domains hold the distributions.
"""

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import polars as pl

from analytics_assets.partitions import Window
from analytics_assets.simulation.defects import Row, deliver
from analytics_assets.simulation.files import write_as
from analytics_assets.spec.source import Kind, Source

LATE = 0.01  # of the rows
REDELIVERED = 0.02  # of the rows


@dataclass(frozen=True)
class Categories:
    """One of some values, by their shares, which need not add up to 1."""

    shares: Mapping[str, float]
    missing: float = 0.0

    def value(self, random: Random, at: datetime) -> str:
        """A value."""
        return random.choices(list(self.shares), list(self.shares.values()))[0]


@dataclass(frozen=True)
class Numbers:
    """Numbers between quantiles that are equally far apart, the smallest first."""

    quantiles: Sequence[float]
    decimals: int = 0
    missing: float = 0.0

    def number(self, random: Random) -> float:
        """A number, linear between two quantiles."""
        if len(self.quantiles) == 1:
            return self.quantiles[0]
        place = random.random() * (len(self.quantiles) - 1)
        low, high = self.quantiles[int(place)], self.quantiles[int(place) + 1]
        return low + (high - low) * (place - int(place))

    def value(self, random: Random, at: datetime) -> str:
        """A number as a text."""
        return f"{self.number(random):.{self.decimals}f}"


@dataclass(frozen=True)
class MadeUp:
    """Values that identify something: none occurs in a real file, but by chance.

    Attributes:
        prefix: of a text; without it, a whole number.
    """

    prefix: str = ""
    missing: float = 0.0

    def value(self, random: Random, at: datetime) -> str:
        """A value that hardly occurs twice."""
        return f"{self.prefix}{random.randrange(10**8, 10**9)}"


@dataclass(frozen=True)
class Since:
    """Times so many seconds after that of the row, by quantiles; `is_date` if only their day is written."""

    seconds: Numbers
    is_date: bool = False
    missing: float = 0.0

    def value(self, random: Random, at: datetime) -> str:
        """A time or date in ISO 8601."""
        then = at + timedelta(seconds=round(self.seconds.number(random)))
        return f"{then:%Y-%m-%d}" if self.is_date else f"{then:%Y-%m-%d %H:%M:%S}"


Distribution = Categories | Numbers | MadeUp | Since


@dataclass(frozen=True)
class Sample:
    """Sample files of a source.

    Attributes:
        source: whose files they are.
        columns: what each column holds; the time of the rows is made from `hours`.
        rows: how many a day, or in a list that holds as a whole, at scale 1.
        hours: the shares of the 24 hours of the day, in the zone of the source.
        ending: of the files.
    """

    source: Source
    columns: Mapping[str, Distribution]
    rows: int
    hours: Sequence[float] = (1.0,) * 24
    ending: str = "csv"

    def write(self, inbox_dir: Path, window: Window, scale: float, random: Random) -> None:
        """Writes the files of some days: one a day, or, of a list that holds as a whole, two for all days.

        Args:
            random: the same state gives the same bytes.
        """
        rows = max(1, round(self.rows * scale))
        days = list(window.days())
        if self.source.kind is Kind.SNAPSHOT:
            first = self._rows(days[0], rows, random)
            second = [*first[: -max(1, rows // 10)], *self._rows(days[0], max(1, rows // 10), random)]
            delivered = {days[0]: first, days[len(days) // 2]: second}
        else:
            delivered = {day: self._rows(day, rows, random) for day in days}
        if self.source.kind is Kind.FACTS:
            delivered = deliver(delivered, days[-1], random, LATE, REDELIVERED)
        for day, held in delivered.items():
            write_as(inbox_dir / self.source.name / f"{self.source.name}-{day}.{self.ending}", held, self.source)

    def _rows(self, day: date, number: int, random: Random) -> list[Row]:
        return [self._row(day, random) for _ in range(number)]

    def _row(self, day: date, random: Random) -> Row:
        at = self._time(day, random)
        row: Row = {}
        for name, dtype in self.source.columns.items():
            if name == self.source.time:
                row[name] = day.isoformat() if dtype == pl.Date else f"{at:%Y-%m-%d %H:%M:%S}"
            elif (of := self.columns.get(name)) is not None:
                row[name] = None if of.missing and random.random() < of.missing else of.value(random, at)
        return row

    def _time(self, day: date, random: Random) -> datetime:
        """A time of a day of the source's zone, as naive UTC."""
        up_to = list(accumulate(self.hours))
        hour = bisect(up_to, random.random() * up_to[-1])
        local = datetime.combine(day, time(min(hour, 23), random.randrange(60), random.randrange(60)))
        return local.replace(tzinfo=ZoneInfo(self.source.timezone)).astimezone(UTC).replace(tzinfo=None)
