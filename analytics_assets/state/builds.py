"""Which version of every day is built, and from which versions of its inputs.

The *inputs* of a day are the versions of the upstream days that its partition mapping names; for a raw day, the pieces
that the ledger says it should hold. The *version* of a day is a hash of its inputs and of the code that made it.
A view or table function has no days and holds no rows. It is recorded as one day, WHOLE. Its inputs are only the code
versions of the tables that it reads, since a table's columns may change with its code.
A seed has no days either. It is made from its file alone, which counts as its code. The file's content is part of the
code of each model that reads the seed, so a changed seed changes no inputs of any day.
Records lie beside what they describe, so that whoever deletes one deletes the other.
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
"""The size of a DuckDB database without tables: a header and no blocks."""


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
"""Returns the files that make up a day of an asset; all of them must be there as they were written."""


class Builds:
    """The record of what is built in one folder.

    Args:
        guarded: the database that the records describe; while it is gone or empty, nothing counts as built.
        files_of: returns the files of a day, if days are files of their own.
        newest_of: returns the file that holds a copy of an asset's newest day, if there is one.
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
        """A value that changes whenever a record does; it does not notice deleted files of days."""
        return *version_of_store(self._file), self._guarded_is_gone()

    def _nothing_is_built(self) -> bool:
        return not self._file.exists() or self._guarded_is_gone()

    def _guarded_is_gone(self) -> bool:
        """Whether the database is missing or has no tables, as when someone opened it after it was deleted."""
        if self._guarded is None:
            return False
        return not self._guarded.exists() or self._guarded.stat().st_size <= EMPTY_DATABASE_BYTES

    def forget_what_is_gone(self) -> None:
        """Drops the records of a deleted database; call it before a new one is made.

        A developer's records lie in a folder below. They describe the same database, and must not outlive it either.
        """
        if self._guarded is None or not self._guarded_is_gone():
            return
        folder = self._guarded.parent
        for file in (folder / self._file.name, *folder.glob(f"{DEVELOPER_PREFIX}*/{self._file.name}")):
            if file.exists():
                with open_sqlite(file, _SCHEMA, _IF_DAMAGED) as connection:
                    connection.execute("delete from builds")

    def forget(self, asset: str, days: Iterable[date]) -> None:
        """Drops the records of days that are about to be written: their content is unknown until they are recorded."""
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
        """Records days after they were written; a kill in between only means that they are built again."""
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
        """The recorded days of an asset before `first` or after `last`; without WHOLE."""
        if self._nothing_is_built():
            return []
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED, writes=False) as connection:
            rows = connection.execute(
                "select day from builds where asset = ? and (day < ? or day > ?) and day <> ? order by day",
                (asset, first.isoformat(), last.isoformat(), WHOLE.start.isoformat()),
            ).fetchall()
        return [date.fromisoformat(day) for (day,) in rows]

    def _bytes(self, asset: str, day: date) -> int | None:
        """The total size of a day's files; None if it has none, or one of them is missing."""
        try:
            files = self._files_of(asset, day) if self._files_of else ()
            return sum(file.stat().st_size for file in files) if files else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_what_is_there(self, asset: str, window: Window) -> dict[date, Build]:
        """The recorded days of a window, without those whose files somebody deleted or whose size has changed."""
        if self._files_of is None:
            return self.read(asset, window)
        if self._nothing_is_built():
            return {}
        with open_sqlite(self._file, _SCHEMA, _IF_DAMAGED, writes=False) as connection:
            rows = connection.execute(
                "select day, inputs, code, bytes, day = (select max(day) from builds where asset = ?1)"
                " from builds where asset = ?1 and day >= ?2 and day < ?3",
                (asset, window.start.isoformat(), window.end.isoformat()),
            ).fetchall()
        found: dict[date, Build] = {}
        for text, inputs, code, written, is_newest in rows:
            day = date.fromisoformat(text)
            size = self._bytes(asset, day)
            if is_newest and self._newest_of and not self._newest_of(asset).is_file():
                continue
            if size is not None and written in (None, size):  # older records have no size
                found[day] = Build(inputs, code)
        return found

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
        """When the recorded days of a window were written: a new text after each write, even of the same rows."""
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
    """Where a copy of the newest report lies, under a name that never changes."""
    return settings.exports_dir / f"{name}.{ending}"


def builds_of(asset: Asset, settings: Settings) -> Builds:
    """The record of an asset's days, which lies beside what it describes.

    With DuckDB, raw days lie in the lake, where DuckDB reads them. Other warehouses load them, and their records lie
    with those of the models.
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
        return Builds(settings.published_records_dir, guarded=settings.published_file)
    guarded = settings.warehouse_file if settings.warehouse == "duckdb" else None
    return Builds(settings.warehouse_dir, guarded)


def builds_of_model(name: str, settings: Settings) -> Builds:
    """The record of a dbt model's days."""
    return builds_of(Asset(name, AssetKind.MODEL), settings)


ReadBuilds = Callable[[str, Window], Mapping[date, Build]]
"""Returns the builds of an asset, by its name, for the days of a window."""


def recorded_builds(catalog: Catalog, settings: Settings) -> ReadBuilds:
    """Reads the builds as they are recorded now; finds none for assets that the project does not declare."""

    def read(name: str, window: Window) -> Mapping[date, Build]:
        return builds_of(catalog[name], settings).read(name, window) if name in catalog else {}

    return read


def has_files(kind: AssetKind) -> bool:
    """Whether the days of an asset of this kind are files of their own, which somebody may delete."""
    return kind in (AssetKind.RAW, AssetKind.REPORT)


def days_without_partition(asset: Asset, settings: Settings) -> list[date]:
    """The days that an asset holds but that have no partition any more, since the first or last partition moved.

    The next run of the asset removes them; until then its first day is out of date. Nothing is removed for reports,
    which are as of a day and stay true, nor on BigQuery.
    """
    if settings.warehouse != "duckdb" or asset.kind is AssetKind.REPORT:
        return []
    return builds_of(asset, settings).outside(asset.name, settings.start_date, settings.end_date or date.max)
