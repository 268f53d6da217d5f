"""Landed rows that wait because their day has no partition: how many there are, and which setting lets them in."""

from collections.abc import Mapping
from datetime import date, datetime

from analytics_assets.foundation.words import plural
from analytics_assets.partitions import partitioned_days
from analytics_assets.settings import Settings
from analytics_assets.spec.source import Source
from analytics_assets.state.ledger import Ledger


def waiting_rows(source: Source, settings: Settings, now: datetime) -> list[str]:
    """One sentence each for the rows that wait before the first partition, after the last one, and for future days.

    Today's rows are left out: they come in once the day is over.

    Args:
        now: an aware UTC time.
    """
    waiting = Ledger(settings.lake_dir).waiting(source, partitioned_days(settings, now, source.calendar))
    first, last = source.calendar.first_day(settings), source.calendar.last_day(settings)
    early = {day: rows for day, rows in waiting.items() if day < first}
    after_last = {day: rows for day, rows in waiting.items() if last and day > last}
    to_come = {day: rows for day, rows in waiting.items() if day > source.calendar.today(now) and day not in after_last}
    set_first = _set("ANALYTICS_START_DATE", "first_day", source.calendar.first)
    set_last = _set("ANALYTICS_END_DATE", "last_day", source.calendar.last)
    found = []
    if early:
        found.append(
            f"{_rows_of(early)} wait: the first partition is {first}; {set_first} to {min(early)} to let all of them in"
        )
    if after_last:
        found.append(
            f"{_rows_of(after_last)} wait: the last partition is {last}; "
            f"{set_last} to {max(after_last)}, or leave it empty, to let all of them in"
        )
    if to_come:
        found.append(f"{_rows_of(to_come)} wait until these days, which are still to come, are over")
    return found


def _set(setting: str, of_domain: str, own: date | None) -> str:
    return f"set {setting}" if own is None else f"set the `{of_domain}` of its domain"


def _rows_of(days: Mapping[date, int]) -> str:
    rows = sum(days.values())
    span = f"{min(days)}" if len(days) == 1 else f"{min(days)} to {max(days)}"
    return f"{plural(rows, 'row')} of {span}"
