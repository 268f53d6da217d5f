"""The defects of real deliveries, in measured doses: late rows, redelivered rows, malformed fields."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from random import Random
from typing import TypeVar

Row = dict[str, str | None]
Delivery = dict[date, list[Row]]
"""Rows by the day on which they are delivered."""

_Delivered = TypeVar("_Delivered")


def deliver(
    rows_by_day: Mapping[date, Sequence[_Delivered]],
    last_day: date,
    random: Random,
    late_share: float,
    redelivered: float,
) -> dict[date, list[_Delivered]]:
    """Decides when each row is delivered: mostly on its day, some up to nine days late, some a second time.

    Args:
        rows_by_day: rows, or lists of rows that are delivered together.
        last_day: the last day with a delivery.
        late_share: share of the rows that come 1 to 9 days late.
        redelivered: share of the rows that come again, unchanged, 0 to 3 days later.
    """
    delivery: dict[date, list[_Delivered]] = {day: [] for day in rows_by_day}
    for day, rows in rows_by_day.items():
        for row in rows:
            first = day + timedelta(random.randint(1, 9)) if random.random() < late_share else day
            first = min(first, last_day)
            delivery[first].append(row)
            if random.random() < redelivered:
                delivery[min(first + timedelta(random.randint(0, 3)), last_day)].append(row)
    return delivery


def spoil(rows: Sequence[Row], random: Random, share: float, spoilers: Sequence[Callable[[Row], Row]]) -> list[Row]:
    """Adds malformed copies of good rows, `share` times as many as there are rows, each spoiled by a random spoiler."""
    spoiled = list(rows)
    for _ in range(int(len(rows) * share)):
        position = random.randrange(len(spoiled) + 1)
        spoiled.insert(position, random.choice(spoilers)(dict(random.choice(rows))))
    return spoiled
