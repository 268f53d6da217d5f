"""Which version of every day is built, and from which versions of its inputs.

The *inputs* of a day are the versions of the upstream days that its partition mapping names; for a raw day, the pieces
that the ledger says it should hold. The *version* of a day is a hash of its inputs and of the code that made it.
A view or table function has no days and holds no rows. It is recorded as one day, WHOLE. Its inputs are only the code
versions of the tables that it reads, since a table's columns may change with its code.
A seed has no days either. It is made from its file alone, which counts as its code. The file's content is part of the
code of each model that reads the seed, so a changed seed changes no inputs of any day.
What a day reads by key is not in the versions of upstream days: a changed upstream row must not renew all days of its
readers. The days in which its key occurs get a new *key version* instead, which is part of their inputs.
Records are kept beside what they describe, so that deleting a folder deletes both.
What a plan supposes to be made is kept in memory, and in no store: see `supposing`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from sqlalchemy import Column, ColumnElement, Date, Integer, MetaData, Table, Text, bindparam, delete, func, select

from analytics_assets.foundation.hashes import digest
from analytics_assets.partitions import EVER, WHOLE, Window
from analytics_assets.settings import DEVELOPER_PREFIX, Settings
from analytics_assets.spec.asset import Asset, AssetKind, Catalog
from analytics_assets.state.database import Store, insert, tuples

TABLES = MetaData()
_BUILDS = Table(
    "builds",
    TABLES,
    Column("asset", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("version", Text, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("built_at", Text, nullable=False),
    Column("bytes", Integer, comment="of its files; null for what is no file of its own"),
    sqlite_with_rowid=False,
)

_KEY_VERSIONS = Table(
    "key_versions",
    TABLES,
    Column("asset", Text, primary_key=True),
    Column("upstream", Text, primary_key=True, comment="the model that is read by key"),
    Column("day", Date, primary_key=True),
    Column("version", Text, nullable=False),
    sqlite_with_rowid=False,
)

_KEY_MAPPINGS = Table(
    "key_mappings",
    TABLES,
    Column("asset", Text, primary_key=True),
    Column("upstream", Text, primary_key=True),
    Column("mapping", Text, nullable=False, comment="as it was when changed keys were last looked for"),
    sqlite_with_rowid=False,
)

_IF_DAMAGED = "delete it; the days that it knew are then made once more"

EMPTY_DATABASE_BYTES = 12_288
"""The size of a DuckDB database without tables: a header and no blocks."""


@dataclass(frozen=True)
class Build:
    """What one day of an asset was last built from.

    Attributes:
        inputs: the versions of its upstream days and, after a blank, its key versions, if it has any.
    """

    inputs: str
    code: str

    @property
    def inputs_by_day(self) -> str:
        """The part of the inputs that upstream days decide."""
        return self.inputs.partition(" ")[0]

    @property
    def version(self) -> str:
        """Changes when the inputs or the code do."""
        return digest([self.inputs, self.code])


KeyVersions = dict[date, dict[str, str]]
"""The key versions of some days of an asset, by the model that is read by key."""


def next_key_version(version: str | None, run_id: str, upstream: str) -> str:
    """The key version after a run has changed rows of an upstream model.

    It is a digest of the one before, never a counter: a version that returned would hide that rows have changed.
    """
    return digest([version or "", run_id, upstream])


FilesOf = Callable[[str, date], Sequence[Path]]
"""Returns the files that make up a day of an asset; all of them must be there as they were written."""


@dataclass
class Supposed:
    """What is supposed to be made; everything that reads records in the same context takes it for recorded.

    Attributes:
        days: by place and asset, the builds of days; None for a day whose record is supposed to be gone.
        woken: the assets whose failed attempts are supposed to be forgotten.
        changes: how often anything was supposed.
    """

    days: dict[tuple[Path, str], dict[date, Build | None]] = field(default_factory=dict)
    woken: set[str] = field(default_factory=set)
    changes: int = 0

    def suppose(self, place: Path, asset: str, days: Mapping[date, Build | None]) -> None:
        """Takes some days for made, or for gone."""
        self.days.setdefault((place, asset), {}).update(days)
        self.changes += 1


_SUPPOSED: ContextVar[Supposed | None] = ContextVar("supposed", default=None)


@contextmanager
def supposing(what: Supposed | None) -> Iterator[None]:
    """Within the block, builds are recorded in memory alone, and read along with the recorded ones; None: as ever."""
    before = _SUPPOSED.set(what)
    try:
        yield
    finally:
        _SUPPOSED.reset(before)


def supposed() -> Supposed | None:
    """What is supposed in this context, if anything is."""
    return _SUPPOSED.get()


class Builds:
    """The record of what is built in one folder.

    Args:
        guarded: the database that the records describe; while it is gone or empty, nothing counts as built.
        files_of: returns the files of a day, if days are files of their own.
        newest_of: returns the files that hold a copy of an asset's newest day, if there are any.
    """

    def __init__(
        self,
        folder: Path,
        guarded: Path | None = None,
        files_of: FilesOf | None = None,
        newest_of: Callable[[str], Sequence[Path]] | None = None,
    ) -> None:
        self._store, self._guarded = _store_in(folder), guarded
        self._files_of, self._newest_of = files_of, newest_of

    @property
    def place(self) -> Path:
        """The file that holds the records, of other assets too."""
        return self._store.file

    def state(self) -> tuple[object, ...]:
        """A value that changes whenever a record does; it does not notice deleted files of days."""
        what = supposed()
        return *self._store.version(), self._guarded_is_gone(), what and what.changes

    def _nothing_is_built(self) -> bool:
        return not self._store.file.exists() or self._guarded_is_gone()

    def _guarded_is_gone(self) -> bool:
        """Whether the database is missing or has no tables, as when someone opened it after it was deleted."""
        if self._guarded is None:
            return False
        return not self._guarded.exists() or self._guarded.stat().st_size <= EMPTY_DATABASE_BYTES

    def forget_what_is_gone(self) -> None:
        """Drops the records of a deleted database; call it before a new one is made.

        A developer's records lie in a folder below. They describe the same database, and must not outlive it either.
        """
        if self._guarded is None or not self._guarded_is_gone() or supposed():
            return
        for folder in (self._guarded.parent, *self._guarded.parent.glob(f"{DEVELOPER_PREFIX}*")):
            store = _store_in(folder)
            if store.file.exists():
                with store.writing() as connection:
                    connection.execute(delete(_BUILDS))

    def forget(self, asset: str, days: Iterable[date]) -> None:
        """Drops the records of days that are about to be written: their content is unknown until they are recorded."""
        if what := supposed():
            what.suppose(self.place, asset, dict.fromkeys(days))
            return
        rows = [{"of": asset, "on": day} for day in days]
        if not rows or self._nothing_is_built():
            return
        of_day = (_BUILDS.c.asset == bindparam("of")) & (_BUILDS.c.day == bindparam("on"))
        with self._store.writing() as connection:
            connection.execute(delete(_BUILDS).where(of_day), rows)

    def forget_all(self, asset: str) -> None:
        """Drops all records of an asset, whose table is gone."""
        if what := supposed():
            what.suppose(self.place, asset, dict.fromkeys(self.read(asset, EVER)))
            return
        if self._nothing_is_built():
            return
        with self._store.writing() as connection:
            connection.execute(delete(_BUILDS).where(_BUILDS.c.asset == asset))

    def record(self, asset: str, built: Mapping[date, Build]) -> None:
        """Records days after they were written; a kill in between only means that they are built again."""
        if not built:
            return
        if what := supposed():
            what.suppose(self.place, asset, dict(built))
            return
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        rows = [
            {
                "asset": asset,
                "day": day,
                "version": build.version,
                "inputs": build.inputs,
                "code": build.code,
                "built_at": now,
                "bytes": self._bytes(asset, day),
            }
            for day, build in built.items()
        ]
        added = insert(_BUILDS)
        values = {column.name: added.excluded[column.name] for column in _BUILDS.c if not column.primary_key}
        with self._store.writing() as connection:
            connection.execute(added.on_conflict_do_update(index_elements=[*_BUILDS.primary_key], set_=values), rows)

    def outside(self, asset: str, first: date, last: date) -> list[date]:
        """The recorded days of an asset before `first` or after `last`; without WHOLE."""
        if self._nothing_is_built():
            return []
        day = _BUILDS.c.day
        beyond = (_BUILDS.c.asset == asset) & ((day < first) | (day > last)) & (day != WHOLE.start)
        with self._store.reading() as connection:
            found: list[date] = list(connection.execute(select(day).where(beyond).order_by(day)).scalars())
        held = self._with_supposed(asset, EVER, dict.fromkeys(found, Build("", "")))
        return [day for day in found if day in held]

    def key_versions(self, asset: str, window: Window) -> KeyVersions:
        """The key versions of the days of a window; they outlive the records of what was built, and dropped tables."""
        table = _KEY_VERSIONS.c
        here = (table.asset == asset) & (table.day >= window.start) & (table.day < window.end)
        found: KeyVersions = {}
        with self._store.reading() as connection:
            rows = tuples(connection.execute(select(table.day, table.upstream, table.version).where(here)))
        for day, upstream, version in rows:
            found.setdefault(day, {})[upstream] = version
        return found

    def renew_key_versions(self, days: Mapping[tuple[str, str], Iterable[date]], run_id: str) -> None:
        """Gives days new key versions, since a run has changed rows with keys that occur in them.

        Args:
            days: by the asset and the model that it reads by key.
        """
        table = _KEY_VERSIONS.c
        added = insert(_KEY_VERSIONS)
        renewed = added.on_conflict_do_update(
            index_elements=[*_KEY_VERSIONS.primary_key], set_={"version": added.excluded.version}
        )
        with self._store.writing() as connection:
            for (asset, upstream), its_days in days.items():
                held = select(table.day, table.version).where((table.asset == asset) & (table.upstream == upstream))
                versions: dict[date, str] = dict(tuples(connection.execute(held)))
                rows = [
                    {
                        "asset": asset,
                        "upstream": upstream,
                        "day": day,
                        "version": next_key_version(versions.get(day), run_id, upstream),
                    }
                    for day in its_days
                ]
                if rows:
                    connection.execute(renewed, rows)

    def key_mappings(self) -> dict[tuple[str, str], str]:
        """The mappings by key for which changed keys were last looked for, by the asset and the model that it reads."""
        table = _KEY_MAPPINGS.c
        with self._store.reading() as connection:
            rows = tuples(connection.execute(select(table.asset, table.upstream, table.mapping)))
        return {(asset, upstream): mapping for asset, upstream, mapping in rows}

    def record_key_mappings(self, mappings: Mapping[tuple[str, str], str | None]) -> None:
        """Records mappings by key; None forgets one."""
        table, added = _KEY_MAPPINGS.c, insert(_KEY_MAPPINGS)
        recorded = added.on_conflict_do_update(
            index_elements=[*_KEY_MAPPINGS.primary_key], set_={"mapping": added.excluded.mapping}
        )
        with self._store.writing() as connection:
            for (asset, upstream), mapping in mappings.items():
                if mapping is None:
                    of_pair = (table.asset == asset) & (table.upstream == upstream)
                    connection.execute(delete(_KEY_MAPPINGS).where(of_pair))
                else:
                    connection.execute(recorded, [{"asset": asset, "upstream": upstream, "mapping": mapping}])

    def _bytes(self, asset: str, day: date) -> int | None:
        """The total size of a day's files; None if it has none, or one of them is missing."""
        try:
            files = self._files_of(asset, day) if self._files_of else ()
            return sum(file.stat().st_size for file in files) if files else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_what_is_there(self, asset: str, window: Window) -> dict[date, Build]:
        """The recorded days of a window, without those whose files somebody deleted or whose size has changed."""
        return self._with_supposed(asset, window, self._there(asset, window))

    def _there(self, asset: str, window: Window) -> dict[date, Build]:
        if self._files_of is None:
            return self._recorded(asset, window)
        if self._nothing_is_built():
            return {}
        newest = select(func.max(_BUILDS.c.day)).where(_BUILDS.c.asset == asset).scalar_subquery()
        wanted = select(_BUILDS.c.day, _BUILDS.c.inputs, _BUILDS.c.code, _BUILDS.c.bytes, _BUILDS.c.day == newest)
        with self._store.reading() as connection:
            rows = tuples(connection.execute(wanted.where(*_of(asset, window))))
        found: dict[date, Build] = {}
        for day, inputs, code, written, is_newest in rows:
            size = self._bytes(asset, day)
            if is_newest and self._newest_of and not all(file.is_file() for file in self._newest_of(asset)):
                continue
            if size is not None and written in (None, size):  # older records have no size
                found[day] = Build(inputs, code)
        return found

    def read(self, asset: str, window: Window) -> dict[date, Build]:
        """The recorded days of a window."""
        return self._with_supposed(asset, window, self._recorded(asset, window))

    def supposed(self, asset: str, window: Window) -> dict[date, Build]:
        """The days of a window that are supposed to be made."""
        return self._with_supposed(asset, window, {})

    def _with_supposed(self, asset: str, window: Window, found: dict[date, Build]) -> dict[date, Build]:
        if what := supposed():
            for day, build in what.days.get((self.place, asset), {}).items():
                if build is None:
                    found.pop(day, None)
                elif window.holds(day):
                    found[day] = build
        return found

    def _recorded(self, asset: str, window: Window) -> dict[date, Build]:
        if self._nothing_is_built():
            return {}
        wanted = select(_BUILDS.c.day, _BUILDS.c.inputs, _BUILDS.c.code).where(*_of(asset, window))
        with self._store.reading() as connection:
            return {day: Build(inputs, code) for day, inputs, code in tuples(connection.execute(wanted))}

    def written(self, asset: str, window: Window) -> dict[date, str]:
        """When the recorded days of a window were written: a new text after each write, even of the same rows."""
        if self._nothing_is_built():
            return {}
        wanted = select(_BUILDS.c.day, _BUILDS.c.built_at).where(*_of(asset, window))
        with self._store.reading() as connection:
            return {day: built_at for day, built_at in tuples(connection.execute(wanted))}


def _store_in(folder: Path) -> Store:
    return Store(folder / "builds.sqlite", TABLES, _IF_DAMAGED)


def _of(asset: str, window: Window) -> tuple[ColumnElement[bool], ...]:
    return _BUILDS.c.asset == asset, _BUILDS.c.day >= window.start, _BUILDS.c.day < window.end


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


def exports_lock(settings: Settings) -> Path:
    """What whoever writes into the folder of reports holds meanwhile."""
    return settings.exports_dir / ".write.lock"


def builds_of(asset: Asset, settings: Settings) -> Builds:
    """The record of an asset's days, which lies beside what it describes.

    With DuckDB, raw days lie in the lake, where DuckDB reads them. Other warehouses load them, and their records lie
    with those of the models.
    """
    if asset.kind is AssetKind.RAW and settings.warehouse == "duckdb":
        return builds_of_raw(settings.raw_dir)
    if asset.kind is AssetKind.REPORT:
        if not asset.endings:
            return Builds(settings.exports_dir)
        return Builds(
            settings.exports_dir,
            files_of=lambda name, day: [export_of(settings, name, day, ending) for ending in asset.endings],
            newest_of=lambda name: [newest_export(settings, name, ending) for ending in asset.endings],
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
    return builds_of(asset, settings).outside(
        asset.name, asset.calendar.first_day(settings), asset.calendar.last_day(settings) or date.max
    )
