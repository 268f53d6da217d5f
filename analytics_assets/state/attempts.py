"""The retry state of days that were tried and have not succeeded: how often, why, and when they are tried again.

A day that cannot succeed must not be requested in every tick, and a day that failed because a disk was full must
recover by itself. So every attempt is recorded before it begins, which also counts killed attempts, and deleted when it
succeeds. A record holds only for its own inputs and code: as soon as either changes, the day is tried without a wait.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from analytics_assets.foundation.failures import in_brief
from analytics_assets.foundation.files import replacing
from analytics_assets.foundation.hashes import digest
from analytics_assets.partitions import Window
from analytics_assets.state.builds import Build
from analytics_assets.state.database import open_sqlite, version_of_store

WAITS = (timedelta(minutes=1), timedelta(minutes=10), *(timedelta(days=1),) * 7)
"""How long to wait after each attempt; once all waits are used up, only a person tries again."""

KILLED = "it did not come to its end: its process was killed, or stopped by an error outside the step"

_SCHEMA = """
create table if not exists attempts (
    asset text not null,
    day text not null,
    inputs text not null,
    code text not null,
    run_id text not null,       -- of the newest attempt; a step's own retries are one attempt
    number integer not null,
    tried_at text not null,
    reason text,                -- null until it is known
    permanent integer not null, -- whether trying the same again cannot help
    primary key (asset, day)
) without rowid
"""

_IF_DAMAGED = "delete it; whatever failed is then tried again at once"

_SELECT = "select asset, day, inputs, code, run_id, number, tried_at, reason, permanent from attempts"


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
    """The attempts of all assets; one SQLite file in the lake."""

    def __init__(self, lake_dir: Path) -> None:
        self._file = lake_dir / "attempts.sqlite"

    def state(self) -> tuple[object, ...]:
        """A value that changes whenever a record does."""
        return version_of_store(self._file)

    def begin(self, asset: str, builds: Mapping[date, Build], run_id: str) -> None:
        """Records that a run begins to make some days."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED) as connection:
            connection.execute("begin immediate")
            connection.executemany(
                "insert into attempts values (?, ?, ?, ?, ?, 1, ?, null, 0) on conflict do update set"
                " number = case when inputs != excluded.inputs or code != excluded.code then 1"
                "   when run_id = excluded.run_id then number else number + 1 end,"
                " inputs = excluded.inputs, code = excluded.code, run_id = excluded.run_id,"
                " tried_at = excluded.tried_at, reason = null, permanent = 0",
                [(asset, day.isoformat(), build.inputs, build.code, run_id, now) for day, build in builds.items()],
            )
            connection.execute("commit")

    def end(self, asset: str, days: Iterable[date]) -> None:
        """Deletes the attempts at days that succeeded, or that their run did not reach."""
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED) as connection:
            connection.execute("begin immediate")
            connection.executemany(
                "delete from attempts where asset = ? and day = ?", [(asset, day.isoformat()) for day in days]
            )
            connection.execute("commit")

    def fail(self, asset: str, days: Iterable[date], reason: str, *, permanent: bool) -> None:
        """Records why begun days failed; a long reason is cut, and names a file that holds all of it."""
        if (brief := in_brief(reason)) != reason:
            file = self._file.parent / "reasons" / f"{digest([reason])}.txt"
            with replacing(file) as temporary:
                temporary.write_text(reason + "\n", encoding="utf-8", errors="backslashreplace")
            reason = f"{brief} (in full: {file})"
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED) as connection:
            connection.execute("begin immediate")
            connection.executemany(
                "update attempts set reason = ?, permanent = ? where asset = ? and day = ?",
                [(reason, permanent, asset, day.isoformat()) for day in days],
            )
            connection.execute("commit")

    def wake(self, assets: Iterable[str]) -> None:
        """Lets all days of some assets be tried again without a wait, for a person who has fixed the cause."""
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED) as connection:
            connection.execute("begin immediate")
            connection.executemany("delete from attempts where asset = ?", [(asset,) for asset in assets])
            connection.execute("commit")

    def read(self, asset: str, window: Window) -> dict[date, Attempt]:
        """The days of a window whose newest attempt has not succeeded, each with that attempt."""
        where, values = "asset = ? and day >= ? and day < ?", (asset, window.start.isoformat(), window.end.isoformat())
        return {day: attempt for (_, day), attempt in self._read(where, values).items()}

    def of_run(self, run_id: str) -> dict[tuple[str, date], Attempt]:
        """The days that a run tried and that have not succeeded since, by asset and day."""
        return self._read("run_id = ?", (run_id,))

    def _read(self, where: str, values: tuple[str, ...]) -> dict[tuple[str, date], Attempt]:
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED, writes=False) as connection:
            rows = connection.execute(f"{_SELECT} where {where} order by asset, day", values).fetchall()
        return {
            (asset, date.fromisoformat(day)): Attempt(
                Build(inputs, code), run_id, number, datetime.fromisoformat(tried_at), reason or KILLED, bool(permanent)
            )
            for asset, day, inputs, code, run_id, number, tried_at, reason, permanent in rows
        }
