"""Which version of every day is built, and from which versions of its inputs.

The *inputs* of a day are the versions of the upstream days that its partition mapping names; of a raw day, the pieces
that the ledger says it should hold. The *version* of a day is a hash of its inputs and of the code that made it.
A view or table function has no days and holds no rows. It is recorded as one day, WHOLE, and its inputs are only by
which code the tables that it reads were made, since their columns may differ by that.
A seed has no days either. It is made from nothing but its file, which is its code; a model that reads one has that
file's content in its own code, so that another one changes no input of any day.
Records lie beside what they describe, so that whoever deletes the one deletes the other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from analytics_assets.foundation.hashes import digest
from analytics_assets.partitions import WHOLE, Window
from analytics_assets.settings import DEVELOPER_PREFIX, Settings
from analytics_assets.spec.asset import Asset, AssetKind, Catalog
from analytics_assets.state.database import open_sqlite, version_of_store

_SCHEMA = """
create table if not exists builds (
    asset text not null,
    day text not null,
    version text not null,
    inputs text not null,
    code text not null,
    built_at text not null,
    bytes integer,  -- of its files; null for what is no file of its own
    primary key (asset, day)
) without rowid
"""

_IF_DAMAGED = "delete it; the days that it knew are then made once more"

EMPTY_DATABASE_BYTES = 12_288
"""The size of a DuckDB database without tables: its header and no block."""


@dataclass(frozen=True)
class Build:
    """What one day of an asset was last built from."""

    inputs: str
    code: str

    @property
    def version(self) -> str:
        """Changes when the inputs or the code do."""
        return digest([self.inputs, self.code])


FilesOf = Callable[[str, date], Sequence[Path]]
"""Gives the files that a day of an asset is, all of which must be there as they were written."""


class Builds:
    """The record of what is built in one folder.

    Args:
        guarded: the file without which nothing is built.
        files_of: where the days are files of their own, gives those of a day.
        newest_of: gives the file that an asset's newest day is, too, where there is one.
    """

    def __init__(
        self,
        folder: Path,
        guarded: Path | None = None,
        files_of: FilesOf | None = None,
        newest_of: Callable[[str], Path] | None = None,
    ) -> None:
        self._file, self._guarded = folder / "builds.sqlite", guarded
        self._files_of, self._newest_of = files_of, newest_of

    def state(self) -> tuple[object, ...]:
        """Differs after each change of what is recorded; files of days that somebody deleted are no part of it."""
        return *version_of_store(self._file), self._guarded_is_gone()

    def _nothing_is_built(self) -> bool:
        return not self._file.exists() or self._guarded_is_gone()

    def _guarded_is_gone(self) -> bool:
        """Whether the database is not there, or was made anew without tables, as by someone who only looked."""
        if self._guarded is None:
            return False
        return not self._guarded.exists() or self._guarded.stat().st_size <= EMPTY_DATABASE_BYTES

    def forget_what_is_gone(self) -> None:
        """Drops the records of a database that was deleted; to be called before a new one is made.

        A developer's records lie in a folder below: they are of the same file, and are not to outlive it either.
        """
        if self._guarded is None or not self._guarded_is_gone():
            return
        folder = self._guarded.parent
        for file in (folder / self._file.name, *folder.glob(f"{DEVELOPER_PREFIX}*/{self._file.name}")):
            if file.exists():
                with open_sqlite(file, _SCHEMA, _IF_DAMAGED) as connection:
                    connection.execute("delete from builds")

    def forget(self, asset: str, days: Iterable[date]) -> None:
        """Drops the records of days that are about to be written: what they hold is unknown until it is recorded."""
        if self._nothing_is_built():
            return
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED) as connection:
            connection.execute("begin immediate")
            connection.executemany(
                "delete from builds where asset = ? and day = ?", [(asset, day.isoformat()) for day in days]
            )
            connection.execute("commit")

    def forget_all(self, asset: str) -> None:
        """Drops all records of an asset, whose table is gone."""
        if self._nothing_is_built():
            return
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED) as connection:
            connection.execute("delete from builds where asset = ?", (asset,))

    def record(self, asset: str, built: Mapping[date, Build]) -> None:
        """Records days after they were written; a kill in between only means that they are built once more."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED) as connection:
            connection.execute("begin immediate")
            connection.executemany(
                "insert or replace into builds (asset, day, version, inputs, code, built_at, bytes)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                [
                    (asset, day.isoformat(), b.version, b.inputs, b.code, now, self._bytes(asset, day))
                    for day, b in built.items()
                ],
            )
            connection.execute("commit")

    def outside(self, asset: str, first: date, last: date) -> list[date]:
        """The recorded days of an asset before or after some span; not WHOLE."""
        if self._nothing_is_built():
            return []
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED, writes=False) as connection:
            rows = connection.execute(
                "select day from builds where asset = ? and (day < ? or day > ?) and day <> ? order by day",
                (asset, first.isoformat(), last.isoformat(), WHOLE.start.isoformat()),
            ).fetchall()
        return [date.fromisoformat(day) for (day,) in rows]

    def _bytes(self, asset: str, day: date) -> int | None:
        """The size of a day's files together; None where it has none, or one of them is not there."""
        try:
            files = self._files_of(asset, day) if self._files_of else ()
            return sum(file.stat().st_size for file in files) if files else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_what_is_there(self, asset: str, window: Window) -> dict[date, Build]:
        """The recorded days of a window, less those whose files somebody deleted or cut short."""
        found = self.read(asset, window)
        if not found or self._files_of is None:
            return found
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED, writes=False) as connection:
            rows = connection.execute("select day, bytes from builds where asset = ?", (asset,)).fetchall()
        written = {date.fromisoformat(day): size for day, size in rows}
        sizes = {day: self._bytes(asset, day) for day in found}
        if self._newest_of and not self._newest_of(asset).is_file():
            sizes[max(written)] = None
        return {
            day: build
            for day, build in found.items()
            if sizes[day] is not None and written.get(day) in (None, sizes[day])  # older records know no size
        }

    def read(self, asset: str, window: Window) -> dict[date, Build]:
        """The recorded days of a window."""
        if self._nothing_is_built():
            return {}
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED, writes=False) as connection:
            rows = connection.execute(
                "select day, inputs, code from builds where asset = ? and day >= ? and day < ?",
                (asset, window.start.isoformat(), window.end.isoformat()),
            ).fetchall()
        return {date.fromisoformat(day): Build(inputs, code) for day, inputs, code in rows}

    def written(self, asset: str, window: Window) -> dict[date, str]:
        """When the recorded days of a window were written: another text after each write, also of the same rows."""
        if self._nothing_is_built():
            return {}
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED, writes=False) as connection:
            rows = connection.execute(
                "select day, built_at from builds where asset = ? and day >= ? and day < ?",
                (asset, window.start.isoformat(), window.end.isoformat()),
            ).fetchall()
        return {date.fromisoformat(day): built_at for day, built_at in rows}


def raw_file(raw_dir: Path, asset: str, day: date) -> Path:
    """Where a raw day lies."""
    return raw_dir / asset / f"_day={day}" / "data.parquet"


def builds_of_raw(raw_dir: Path) -> Builds:
    """The record of the raw days of a lake."""
    return Builds(raw_dir, files_of=lambda name, day: [raw_file(raw_dir, name, day)])


def export_of(settings: Settings, name: str, day: date, ending: str) -> Path:
    """Where the report of a day lies."""
    return settings.exports_dir / name / f"{name}-{day}.{ending}"


def newest_export(settings: Settings, name: str, ending: str) -> Path:
    """A copy of the newest report, under a name that stays."""
    return settings.exports_dir / f"{name}.{ending}"


def builds_of(asset: Asset, settings: Settings) -> Builds:
    """The record that an asset's days are kept in: beside what it describes.

    Raw days lie in the lake, from where DuckDB reads them. Elsewhere they are loaded into the warehouse, and their
    records lie with those of the models.
    """
    if asset.kind is AssetKind.RAW and settings.warehouse == "duckdb":
        return builds_of_raw(settings.raw_dir)
    if asset.kind is AssetKind.REPORT:
        return Builds(
            settings.exports_dir,
            files_of=lambda name, day: [export_of(settings, name, day, asset.ending)],
            newest_of=lambda name: newest_export(settings, name, asset.ending),
        )
    if asset.kind is AssetKind.PUBLISHED:
        return Builds(settings.published_file.parent, guarded=settings.published_file)
    guarded = settings.warehouse_file if settings.warehouse == "duckdb" else None
    return Builds(settings.warehouse_dir, guarded)


def builds_of_model(name: str, settings: Settings) -> Builds:
    """The record of a dbt model's days."""
    return builds_of(Asset(name, AssetKind.MODEL), settings)


ReadBuilds = Callable[[str, Window], Mapping[date, Build]]
"""Gives the builds of an asset, by its name, for the days of a window."""


def recorded_builds(catalog: Catalog, settings: Settings) -> ReadBuilds:
    """The builds as they are recorded now; none of assets that the project does not declare."""

    def read(name: str, window: Window) -> Mapping[date, Build]:
        return builds_of(catalog[name], settings).read(name, window) if name in catalog else {}

    return read


def has_files(kind: AssetKind) -> bool:
    """Whether the days of a kind of asset are files of their own, which somebody may delete."""
    return kind in (AssetKind.RAW, AssetKind.REPORT)


def days_without_partition(asset: Asset, settings: Settings) -> list[date]:
    """The days that an asset holds and that have no partition any more, since the first or the last one was moved.

    The next run of the asset takes them out, and until then its first day is out of date. Reports are as of a day that
    stays what it was; on BigQuery what is there is left.
    """
    if settings.warehouse != "duckdb" or asset.kind is AssetKind.REPORT:
        return []
    return builds_of(asset, settings).outside(asset.name, settings.start_date, settings.end_date or date.max)
