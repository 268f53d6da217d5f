"""Which version of every day is built, from which versions of its inputs, and whether those are still the ones there.

This comparison decides what runs. It asks for states, not for events: an update that comes while a run is failing or
in flight is seen at the next look, because what is recorded still differs from what is there.

The *inputs* of a day are the versions of the upstream days that its partition mapping names; of a raw day, the pieces
that the ledger says it should hold. The *version* of a day is a hash of its inputs and of the code that made it.
A view or table function has no days and holds no rows. It is recorded as one day, WHOLE, and its inputs are only by
which code the tables that it reads were made, since their columns may differ by that.
A lookup has no days either. It is made from nothing but its file, which is its code; a model that reads one has that
file's content in its own code, so that another one changes no input of any day.
Records lie beside what they describe, so that whoever deletes the one deletes the other.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from dagster import IdentityPartitionMapping, PartitionMapping, TimeWindowPartitionMapping
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

from analytics_assets.files import open_sqlite
from analytics_assets.partitions import EVER, WHOLE, Window
from analytics_assets.settings import DEVELOPER_PREFIX, Settings

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

RAW_PREFIX = "raw_"
"""Begins the names of the raw assets, whose records lie in the lake, from where DuckDB reads them.

Elsewhere they are loaded into the warehouse, and their records lie with those of the models.
"""

PUBLISHED_PREFIX = "published_"
"""Begins the names of the assets that are parts of the published copy, beside which their records lie.

Those of all other assets lie beside the warehouse.
"""


FILE_ENDINGS = {"_dashboard": "html", "_workbook": "xlsx"}
"""How the files of reports end, by how their names do."""

REPORT_ENDINGS = tuple(FILE_ENDINGS)
"""End the names of the reports, whose records lie beside the exports."""

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


def digest(parts: Iterable[str]) -> str:
    """A short hash of some texts, in their order."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


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


def builds_of(asset: str, settings: Settings) -> Builds:
    """The record that an asset's days are kept in."""
    if asset.startswith(RAW_PREFIX) and settings.warehouse == "duckdb":
        return builds_of_raw(settings.raw_dir)
    if asset.endswith(REPORT_ENDINGS):
        ending = next(file for end, file in FILE_ENDINGS.items() if asset.endswith(end))
        return Builds(
            settings.exports_dir,
            files_of=lambda name, day: [export_of(settings, name, day, ending)],
            newest_of=lambda name: newest_export(settings, name, ending),
        )
    if asset.startswith(PUBLISHED_PREFIX):
        return Builds(settings.published_file.parent, guarded=settings.published_file)
    guarded = settings.warehouse_file if settings.warehouse == "duckdb" else None
    return Builds(settings.warehouse_dir, guarded)


def days_without_partition(asset: str, settings: Settings) -> list[date]:
    """The days that an asset holds and that have no partition any more, since the first or the last one was moved.

    The next run of the asset takes them out, and until then its first day is out of date. Reports are as of a day that
    stays what it was; on BigQuery what is there is left.
    """
    if settings.warehouse != "duckdb" or asset.endswith(REPORT_ENDINGS):
        return []
    return builds_of(asset, settings).outside(asset, settings.start_date, settings.end_date or date.max)


@dataclass(frozen=True)
class Offsets:
    """A partition mapping: day D is made from the upstream days D+start to D+end, both included."""

    start: int = 0
    end: int = 0

    def upstream_of(self, window: Window) -> Window:
        """The upstream days from which the days of a window are made."""
        return Window(window.start + timedelta(self.start), window.end + timedelta(self.end))

    def downstream_of(self, window: Window) -> Window:
        """The days that are made from the upstream days of a window."""
        return Window(window.start - timedelta(self.end), window.end - timedelta(self.start))


def offsets_of(mapping: PartitionMapping | None) -> Offsets:
    """A partition mapping of Dagster as offsets; none is the same day.

    Raises:
        TypeError: the mapping says more than offsets can.
    """
    match mapping:
        case None | IdentityPartitionMapping():
            return Offsets()
        case TimeWindowPartitionMapping():
            return Offsets(mapping.start_offset, mapping.end_offset)
    raise TypeError(f"{type(mapping).__name__}: days are mapped to days by offsets only")


def upstream_by_asset(graph: BaseAssetGraph) -> dict[str, dict[str, Offsets]]:
    """The partitioned assets that the automation makes, each after those that it reads, and how it reads them."""
    found = {}
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        if node.partitions_def is not None and node.automation_condition is not None:
            found[key.path[-1]] = {
                parent.path[-1]: offsets_of(node.partition_mappings.get(parent))
                for parent in sorted(node.parent_keys)
                if graph.get(parent).partitions_def is not None
            }
    return found


def views_by_asset(graph: BaseAssetGraph) -> dict[str, dict[str, Offsets]]:
    """The assets without days that the automation makes, each after those that it reads, and what it reads."""
    return {
        key.path[-1]: {parent.path[-1]: Offsets() for parent in sorted(graph.get(key).parent_keys)}
        for key in graph.toposorted_asset_keys
        if graph.get(key).partitions_def is None and graph.get(key).automation_condition is not None
    }


def lookups_by_asset(graph: BaseAssetGraph) -> dict[str, set[str]]:
    """The lookups that the partitioned assets read: assets without days that the automation makes from no other."""
    lookups = {name for name, upstream in views_by_asset(graph).items() if not upstream}
    read = {
        key.path[-1]: {parent.path[-1] for parent in graph.get(key).parent_keys} & lookups
        for key in graph.toposorted_asset_keys
        if graph.get(key).partitions_def is not None
    }
    return {name: found for name, found in read.items() if found}


def linked_assets(graph: BaseAssetGraph) -> dict[str, frozenset[str]]:
    """For each asset, itself and all that it is linked with, up or down and however far: its domain, or several."""
    found: dict[str, frozenset[str]] = {}
    for key in graph.toposorted_asset_keys:
        if key.path[-1] in found:
            continue
        linked, waiting = set(), {key}
        while waiting:
            linked |= waiting
            waiting = {other for one in waiting for other in graph.get(one).parent_keys | graph.get(one).child_keys}
            waiting -= linked
        names = frozenset(one.path[-1] for one in linked)
        found |= dict.fromkeys(names, names)
    return found


ReadBuilds = Callable[[str, Window], Mapping[date, Build]]
"""Gives the builds of an asset, by its name, for the days of a window."""


def recorded_builds(settings: Settings) -> ReadBuilds:
    """The builds as they are recorded now."""
    return lambda asset, window: builds_of(asset, settings).read(asset, window)


def input_versions(upstream: Mapping[str, Offsets], window: Window, read: ReadBuilds) -> dict[date, str]:
    """The inputs of each day of a window, given the names and mappings of an asset's upstream assets.

    Upstream days that are not built count as absent, so that a day gets new inputs when one of them appears.
    """
    if window == WHOLE:
        codes = {f"{name} {build.code}" for name in upstream for build in read(name, EVER).values()}
        return {WHOLE.start: digest(sorted(codes))}
    builds_by_name = {name: read(name, offsets.upstream_of(window)) for name, offsets in sorted(upstream.items())}
    return {
        day: digest(
            f"{name} {upstream_day} {builds[upstream_day].version}"
            for name, builds in builds_by_name.items()
            for upstream_day in upstream[name].upstream_of(Window.of_days(day, day)).days()
            if upstream_day in builds
        )
        for day in window.days()
    }


class Inputs:
    """The upstream days that a run reads, as they were when it began: were they written while it worked?

    What is recorded of a day is what was there before. Rows that changed meanwhile and changed back would look the same
    at the end, and the day would pass for one that was made from them for ever.
    """

    def __init__(self, assets: Iterable[tuple[str, Mapping[str, Offsets]]], window: Window, settings: Settings) -> None:
        """To be made before anything is read.

        Args:
            assets: what the run makes, each with what it reads and every one after those that it reads.
        """
        self._assets, self._window, self._settings = dict(assets), window, settings
        self._before = self._written()

    def _written(self) -> dict[tuple[str, date], str]:
        """By asset and day, of what the run reads and does not make. A day that is being written has no record."""
        if self._window == WHOLE:  # made from no rows
            return {}
        spans: dict[str, list[Window]] = {}
        for upstream in self._assets.values():
            for name, offsets in upstream.items():
                if name not in self._assets:
                    spans.setdefault(name, []).append(offsets.upstream_of(self._window))
        return {
            (name, day): written_at
            for name, windows in spans.items()
            for day, written_at in builds_of(name, self._settings)
            .written(name, Window(min(w.start for w in windows), max(w.end for w in windows)))
            .items()
        }

    def rewritten(self) -> dict[str, set[date]]:
        """By asset, the days of the run of which an upstream day was written since, however far up."""
        after, found = self._written(), {name: set[date]() for name in self._assets}
        changed = {where for where in self._before.keys() | after.keys() if self._before.get(where) != after.get(where)}
        if not changed:
            return found
        for asset, upstream in self._assets.items():
            for day in self._window.days():
                if any(
                    (name, above) in changed or above in found.get(name, ())
                    for name, offsets in upstream.items()
                    for above in offsets.upstream_of(Window.of_days(day, day)).days()
                ):
                    found[asset].add(day)
        return found
