"""The retry state of days that were tried and have not succeeded: how often, why, and when they are tried again.

A day that cannot succeed must not be requested in every tick, and a day that failed because a disk was full must
recover by itself. So every attempt is recorded before it begins, which also counts killed attempts, and deleted when it
succeeds. A record holds only for its own inputs and code: as soon as either changes, the day is tried without a wait.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Date,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    case,
    delete,
    null,
    or_,
    select,
    update,
)

from analytics_assets.foundation.failures import in_brief
from analytics_assets.foundation.files import replacing
from analytics_assets.foundation.hashes import digest
from analytics_assets.partitions import Window
from analytics_assets.state.builds import Build, supposed
from analytics_assets.state.database import Store, insert

WAITS = (timedelta(minutes=1), timedelta(minutes=10), *(timedelta(days=1),) * 7)
"""How long to wait after each attempt; once all waits are used up, only a person tries again."""

KILLED = "it did not come to its end: its process was killed, or stopped by an error outside the step"

TABLES = MetaData()
_ATTEMPTS = Table(
    "attempts",
    TABLES,
    Column("asset", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("inputs", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("run_id", Text, nullable=False, comment="of the newest attempt; a step's own retries are one attempt"),
    Column("number", Integer, nullable=False),
    Column("tried_at", Text, nullable=False),
    Column("reason", Text, comment="null until it is known"),
    Column("permanent", Boolean, nullable=False, comment="whether trying the same again cannot help"),
    sqlite_with_rowid=False,
)

_IF_DAMAGED = "delete it; whatever failed is then tried again at once"


@dataclass(frozen=True)
class Attempt:
    """The newest attempt at a day that has not succeeded; `number` counts attempts with the same inputs and code."""

    build: Build
    run_id: str
    number: int
    tried_at: datetime
    reason: str
    permanent: bool

    def next_at(self) -> datetime | None:
        """When the automation may try the day again; None if it will not."""
        if self.permanent or self.number > len(WAITS):
            return None
        return self.tried_at + WAITS[self.number - 1]


class Attempts:
    """The attempts of all assets; one store in the lake."""

    def __init__(self, lake_dir: Path) -> None:
        self._store = Store(lake_dir / "attempts.sqlite", TABLES, _IF_DAMAGED)

    def state(self) -> tuple[object, ...]:
        """A value that changes whenever a record does."""
        what = supposed()
        return *self._store.version(), what and len(what.woken)

    def begin(self, asset: str, builds: Mapping[date, Build], run_id: str) -> None:
        """Records that a run begins to make some days."""
        if not builds:
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [
            {"asset": asset, "day": day, "inputs": build.inputs, "code": build.code, "run_id": run_id, "tried_at": now}
            for day, build in builds.items()
        ]
        added = insert(_ATTEMPTS).values(number=1, permanent=False)
        held, new = _ATTEMPTS.c, added.excluded
        number = case(
            (or_(held.inputs != new.inputs, held.code != new.code), 1),
            (held.run_id == new.run_id, held.number),
            else_=held.number + 1,
        )
        begun = {"inputs": new.inputs, "code": new.code, "run_id": new.run_id, "tried_at": new.tried_at}
        known = {"number": number, "reason": null(), "permanent": False}
        with self._store.writing() as connection:
            connection.execute(added.on_conflict_do_update(index_elements=_KEY, set_=begun | known), rows)

    def end(self, asset: str, days: Iterable[date]) -> None:
        """Deletes the attempts at days that succeeded, or that their run did not reach."""
        if rows := _bound(asset, days):
            with self._store.writing() as connection:
                connection.execute(delete(_ATTEMPTS).where(_IS_THE_DAY), rows)

    def fail(self, asset: str, days: Iterable[date], run_id: str, reason: str, *, permanent: bool) -> None:
        """Records why begun days failed in a run; a long reason is cut, and names a file that holds all of it.

        A day for which the run has already recorded a reason keeps it.
        """
        if (brief := in_brief(reason)) != reason:
            file = self._store.file.parent / "reasons" / f"{digest([reason])}.txt"
            with replacing(file) as temporary:
                temporary.write_text(reason + "\n", encoding="utf-8", errors="backslashreplace")
            reason = f"{brief} (in full: {file})"
        is_unknown = _ATTEMPTS.c.reason.is_(None) | (_ATTEMPTS.c.run_id != run_id)
        failed = update(_ATTEMPTS).where(_IS_THE_DAY, is_unknown)
        if rows := _bound(asset, days):
            with self._store.writing() as connection:
                connection.execute(failed.values(reason=reason, permanent=permanent), rows)

    def wake(self, assets: Iterable[str]) -> None:
        """Lets all days of some assets be tried again without a wait, for a person who has fixed the cause."""
        if what := supposed():
            what.woken.update(assets)
            return
        with self._store.writing() as connection:
            connection.execute(delete(_ATTEMPTS).where(_ATTEMPTS.c.asset.in_(list(assets))))

    def read(self, asset: str, window: Window) -> dict[date, Attempt]:
        """The days of a window whose newest attempt has not succeeded, each with that attempt."""
        days = _ATTEMPTS.c.day
        found = self._read(_ATTEMPTS.c.asset == asset, days >= window.start, days < window.end)
        return {day: attempt for (_, day), attempt in found.items()}

    def of_run(self, run_id: str) -> dict[tuple[str, date], Attempt]:
        """The days that a run tried and that have not succeeded since, by asset and day."""
        return self._read(_ATTEMPTS.c.run_id == run_id)

    def _read(self, *where: ColumnElement[bool]) -> dict[tuple[str, date], Attempt]:
        with self._store.reading() as connection:
            rows = connection.execute(select(_ATTEMPTS).where(*where).order_by(*_KEY)).all()
        what = supposed()
        return {
            (row.asset, row.day): Attempt(
                Build(row.inputs, row.code),
                row.run_id,
                row.number,
                datetime.fromisoformat(row.tried_at),
                row.reason or KILLED,
                row.permanent,
            )
            for row in rows
            if not (what and row.asset in what.woken)
        }


_KEY = (_ATTEMPTS.c.asset, _ATTEMPTS.c.day)
_IS_THE_DAY = (_ATTEMPTS.c.asset == bindparam("of")) & (_ATTEMPTS.c.day == bindparam("on"))


def _bound(asset: str, days: Iterable[date]) -> list[dict[str, object]]:
    return [{"of": asset, "on": day} for day in days]
