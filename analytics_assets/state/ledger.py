"""The ledger: what was landed from where, which pieces hold it, and which content is current.

SQLite, because many processes may read and write it concurrently and a kill at any moment leaves it whole. It holds no
rows of data, only where they are. A *content* is the bytes of a file, landed once; a *path* is a name in the inbox
and points to the content that was last dropped there.

Nothing is landed, made or reported without the ledger: an empty one would say that no row ever came. Each write is also
a line of the source's journal, from which `rebuild` restores the ledger. The ledger is written first, so it never knows
less than a journal holds, unless the ledger was lost or replaced.
"""

import hashlib
import json
import sqlite3
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from analytics_assets.foundation.files import Damaged, only_one, replacing
from analytics_assets.partitions import Window
from analytics_assets.spec.source import Kind, Source
from analytics_assets.state import journal
from analytics_assets.state.database import open_sqlite, version_of_store
from analytics_assets.state.journal import Entry, Journal, line_of

_SCHEMA = """
create table if not exists contents (
    id integer primary key,
    source text not null,
    identity text not null,         -- the bytes' hash; for snapshots with the path, since its name holds the day
    path text not null,             -- under which it was landed first
    hash text not null,
    landed_at text not null,
    accepted integer not null,      -- rows
    rejected integer not null,
    unknown_columns text not null,  -- JSON array
    swallowed text not null default '{}',  -- JSON object: by row, the lines of a reject that spans several
    unique (source, identity)
);
create table if not exists pieces (
    content_id integer not null references contents,
    source text not null,
    day text not null,
    name text not null,
    rows integer not null
);
create index if not exists pieces_by_day on pieces (source, day);
create index if not exists pieces_by_content on pieces (content_id);
create table if not exists rejected (
    content_id integer not null references contents,
    source text not null,
    day text,                       -- null where the time could not be read
    rows integer not null
);
create index if not exists rejected_by_day on rejected (source, day);
create index if not exists rejected_by_content on rejected (content_id);
create table if not exists paths (
    source text not null,
    path text not null,
    size integer not null,
    mtime_ns integer not null,
    version integer not null,       -- of the spec that read it
    content_id integer,             -- what is current under this path; null when nothing readable ever was
    error text,                     -- why the newest bytes could not be read
    ctime_ns integer not null default 0,
    inode text not null default '', -- a number that may not fit into SQLite's
    turn integer not null default 0, -- which change of what is current this was, counted over the paths of the source
    primary key (source, path)
);
create index if not exists paths_by_content on paths (source, content_id);
create index if not exists paths_by_turn on paths (source, turn);
create table if not exists journals (
    source text primary key,
    bytes integer not null          -- so many at most does the source's journal hold
);
"""

_REPAIR = "run `analytics-assets repair`, which makes it again from the journals beside the landed pieces"


@dataclass(frozen=True)
class Piece:
    """An immutable Parquet file of the landed rows of one day; `name` is the hash of its bytes."""

    day: date
    name: str
    rows: int


@dataclass(frozen=True)
class Seen:
    """A path's file as it was when it was last looked at.

    Someone who copies a file over another can keep its size and modification time, but not the time of its last change
    of any kind (`ctime_ns`) nor, if the new file replaces the old one, its inode.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: str
    version: int  # of the spec


@dataclass
class Content:
    """All that is known of a landed file once it has been read to its end.

    Attributes:
        rejected: rows in the rejects by day; a broken record counts as the lines that it spans.
        swallowed: by row, the number of lines of each reject that spans several.
    """

    identity: str
    path: str
    hash: str
    landed_at: datetime
    pieces: list[Piece] = field(default_factory=list)
    rejected: dict[date | None, int] = field(default_factory=dict)
    unknown_columns: list[str] = field(default_factory=list)
    swallowed: dict[int, int] = field(default_factory=dict)

    @property
    def accepted_rows(self) -> int:
        """Rows in all pieces."""
        return sum(piece.rows for piece in self.pieces)

    @property
    def rejected_rows(self) -> int:
        """Rows in the rejects."""
        return sum(self.rejected.values())

    @property
    def all_rows(self) -> int:
        """All rows of the file."""
        return self.accepted_rows + self.rejected_rows


@dataclass(frozen=True)
class Faults:
    """What is wrong with a landed file, although it could be read; the attributes are those of its content."""

    all_rows: int
    rejected_rows: int
    unknown_columns: list[str]
    swallowed: dict[int, int]


@dataclass(frozen=True)
class Totals:
    """Where the rows of a source are: `accepted = in_days + waiting + superseded`.

    A snapshot's row counts once as `in_days`, however many days carry it forward. The rows of a snapshot that no day
    uses, because a newer one holds from the first partition on, count as superseded.
    """

    accepted: int
    in_days: int
    waiting: int
    superseded: int
    rejected: int


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuilt ledger knows: its contents, their accepted rows, and the pieces that are gone."""

    contents: int
    rows: int
    gone: list[Path]


class Ledger:
    """Reads and writes of the ledger; each write is one transaction."""

    def __init__(self, lake_dir: Path) -> None:
        self._lake_dir, self._path = lake_dir, lake_dir / "ledger.sqlite"
        self._landed_dir = lake_dir / "landed"

    def state(self) -> tuple[object, ...]:
        """A value that changes whenever the ledger does, or one of the journals that it is checked against."""
        return *version_of_store(self._path), *sorted(journal.sizes(self._landed_dir).items())

    @contextmanager
    def _connection(self, *, writes: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection to the ledger, after a check that it knows all that the journals hold."""
        held = journal.sizes(self._landed_dir)  # read before the ledger, since writes reach the ledger first
        with open_sqlite(self._path, _SCHEMA, _REPAIR, writes=writes) as connection:
            known = dict(connection.execute("select source, bytes from journals").fetchall())
            lacking = [name for name, size in held.items() if size > known.get(name, 0)]
            lacking += [name for name, size in held.items() if not size and self._is_unknown(connection, name)]
            if self._is_emptied(connection):
                lacking += known
            if lacking:
                raise Damaged(
                    f"{self._path} is gone, was emptied, or is older than the landed pieces of "
                    f"{', '.join(sorted(set(lacking)))}: {_REPAIR}"
                )
            yield connection

    def _is_unknown(self, connection: sqlite3.Connection, name: str) -> bool:
        """Whether a source has pieces, although the ledger knows no content of it and no first landing was killed."""
        if connection.execute("select 1 from contents where source = ? limit 1", (name,)).fetchone():
            return False
        mark = unfinished_mark(self._lake_dir, name)
        return not all(is_leftover(file, mark) for file in self._landed(name).values())

    def _is_emptied(self, connection: sqlite3.Connection) -> bool:
        """Whether somebody deleted rows from a ledger that had some."""
        journals, contents, pieces, paths = connection.execute(
            "select exists(select 1 from journals), exists(select 1 from contents where accepted > 0),"
            " exists(select 1 from pieces), exists(select 1 from paths)"
        ).fetchone()
        return (contents and not pieces) or (journals and not paths)

    def _landed(self, name: str) -> dict[str, Path]:
        """The pieces of a source that exist, by name."""
        return {file.stem: file for file in (self._landed_dir / name).glob("*/*.parquet")}

    @contextmanager
    def _writing(self, source: Source) -> Iterator[tuple[sqlite3.Connection, list[Entry]]]:
        """A transaction, and a list for the entries that it writes; they are added to the journal after its commit."""
        kept, entries = Journal(self._landed_dir, source.name), list[Entry]()
        with self._connection(writes=True) as connection:
            connection.execute("begin immediate")
            yield connection, entries
            known = connection.execute("select bytes from journals where source = ?", (source.name,)).fetchone()
            is_whole = known is not None and known[0] == kept.size()
            lines = [line_of(entry) for entry in (entries if is_whole else _entries(connection, source.name))]
            # A kill or a power cut may keep entries out of the journal: then it is rewritten from the ledger.
            size = sum(map(len, lines)) + (known[0] if is_whole else 0)
            connection.execute(
                "insert into journals values (?, ?) on conflict do update set bytes = max(bytes, excluded.bytes)",
                (source.name, size),
            )
            connection.execute("commit")
            if is_whole:
                kept.append(b"".join(lines))
            else:
                kept.replace(lines)
                connection.execute("update journals set bytes = ? where source = ?", (size, source.name))

    def rebuild(self) -> Rebuilt | None:
        """Rebuilds a lost or damaged ledger from the journals; None if the ledger is whole.

        Raises:
            Damaged: a journal is damaged, or there are pieces that no journal knows.
        """
        with only_one(self._lake_dir / ".repair.lock"):
            try:
                with self._connection() as connection:
                    connection.execute("pragma integrity_check").fetchall()
                return None
            except Damaged:
                pass
            names = sorted(journal.sizes(self._landed_dir))
            entries = {name: Journal(self._landed_dir, name).read() for name in names}
            gone = self._see_that_journals_know_all_pieces(entries)
            with replacing(self._path) as temporary:
                with open_sqlite(temporary, _SCHEMA, _REPAIR) as connection:
                    connection.execute("begin immediate")
                    for name in names:
                        for entry in entries[name]:
                            _take_over(connection, name, entry)
                        size = Journal(self._landed_dir, name).size()
                        connection.execute("insert into journals values (?, ?)", (name, size))
                    connection.execute("commit")
                    connection.execute("pragma journal_mode = delete")  # so that one file holds everything
                    contents, rows = connection.execute("select count(*), sum(accepted) from contents").fetchone()
                self._put_aside()
            return Rebuilt(contents, rows or 0, gone)

    def _see_that_journals_know_all_pieces(self, entries: Mapping[str, Sequence[Entry]]) -> list[Path]:
        """Returns the paths of pieces that the journals know but that are gone.

        Raises:
            Damaged: there are pieces that no journal knows.
        """
        gone = []
        for name, of_source in entries.items():
            known = {piece["name"]: piece["day"] for entry in of_source for piece in entry.get("pieces", ())}
            landed = self._landed(name)
            gone += [self._landed_dir / name / known[lost] / f"{lost}.parquet" for lost in known.keys() - landed.keys()]
            # A killed landing leaves pieces that were never recorded.
            mark = unfinished_mark(self._lake_dir, name)
            unknown = {lost for lost in landed.keys() - known.keys() if not is_leftover(landed[lost], mark)}
            if unknown:
                raise Damaged(
                    f"{Journal(self._landed_dir, name).file} knows nothing of {len(unknown):,} landed pieces, as "
                    f"{landed[min(unknown)]}: restore it or the ledger from a backup, or move them out of the folder "
                    "to go on without their rows"
                )
        return sorted(gone)

    def _put_aside(self) -> None:
        """Renames the damaged ledger, and removes the files beside it that SQLite would take for its log."""
        if self._path.exists():
            self._path.rename(self._path.with_name(f"{self._path.name}.{datetime.now(UTC):%Y%m%dT%H%M%S%f}.damaged"))
        for ending in ("-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)

    # ------------------------------------------------------------------------------------------------- landing

    def seen(self, source: Source, paths: Sequence[str]) -> dict[str, Seen]:
        """The paths among some that the ledger knows, each as it was last seen."""
        with self._connection() as connection:
            rows = connection.execute(
                "select path, size, mtime_ns, ctime_ns, inode, version from paths"
                " where source = ? and path in (select value from json_each(?))",
                (source.name, json.dumps(paths)),
            ).fetchall()
        return {path: Seen(*rest) for path, *rest in rows}

    def count_paths(self, source: Source) -> int:
        """How many paths the ledger knows; the number never decreases."""
        with self._connection() as connection:
            row = connection.execute("select count(*) from paths where source = ?", (source.name,)).fetchone()
        return row[0]

    def find_content(self, source: Source, identity: str) -> bool:
        """Whether these bytes have been landed before."""
        with self._connection() as connection:
            found = connection.execute(
                "select 1 from contents where source = ? and identity = ?", (source.name, identity)
            ).fetchone()
        return found is not None

    def has_landed(self, source: Source) -> bool:
        """Whether anything of a source has ever landed, even a file without rows."""
        with self._connection() as connection:
            found = connection.execute("select 1 from contents where source = ? limit 1", (source.name,)).fetchone()
        return found is not None

    def add(self, source: Source, content: Content, seen: Seen) -> None:
        """Records a landed content, and makes it current under its path."""
        with self._writing(source) as (connection, entries):
            content_id = connection.execute(
                "insert into contents"
                " (source, identity, path, hash, landed_at, accepted, rejected, unknown_columns, swallowed)"
                " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    source.name,
                    content.identity,
                    content.path,
                    content.hash,
                    content.landed_at.isoformat(),
                    content.accepted_rows,
                    content.rejected_rows,
                    json.dumps(content.unknown_columns),
                    json.dumps(content.swallowed),
                ),
            ).lastrowid
            connection.executemany(
                "insert into pieces values (?, ?, ?, ?, ?)",
                [(content_id, source.name, p.day.isoformat(), p.name, p.rows) for p in content.pieces],
            )
            connection.executemany(
                "insert into rejected values (?, ?, ?, ?)",
                [(content_id, source.name, day and day.isoformat(), n) for day, n in content.rejected.items()],
            )
            _point(connection, source, content.path, seen, content.identity)
            entries += _contents(connection, source.name, content.identity)
            entries += _paths(connection, source.name, content.path)

    def point(self, source: Source, path: str, seen: Seen, identity: str) -> None:
        """Makes a content that has landed before current under a path."""
        with self._writing(source) as (connection, entries):
            _point(connection, source, path, seen, identity)
            entries += _paths(connection, source.name, path)

    def refuse(self, source: Source, path: str, seen: Seen, error: str) -> None:
        """Records that a path's newest bytes cannot be read. Its current content stays current."""
        with self._writing(source) as (connection, entries):
            connection.execute(
                "insert into paths (source, path, size, mtime_ns, ctime_ns, inode, version, content_id, error)"
                " values (?, ?, ?, ?, ?, ?, ?, null, ?)"
                " on conflict do update set size = excluded.size, mtime_ns = excluded.mtime_ns,"
                " ctime_ns = excluded.ctime_ns, inode = excluded.inode,"
                " version = excluded.version, error = excluded.error",
                (source.name, path, *astuple(seen), error),
            )
            entries += _paths(connection, source.name, path)

    def identities_and_pieces(self, source: Source) -> tuple[set[str], set[str]]:
        """The identities of all contents of a source, and the names of all their pieces."""
        with self._connection() as connection:
            identities = connection.execute("select identity from contents where source = ?", (source.name,))
            names = connection.execute("select name from pieces where source = ?", (source.name,))
            return {row[0] for row in identities}, {row[0] for row in names}

    # ---------------------------------------------------------------------------------------------- what is current

    def pieces(self, source: Source, window: Window) -> dict[date, list[Piece]]:
        """The pieces that each day of the window should hold; snapshots are carried forward, the first also back."""
        if source.kind is Kind.FACTS:
            found = self._pieces_between(source, window)
            return {day: found.get(day, []) for day in window.days()}
        snapshots, _ = self._snapshots(source)
        days = sorted(snapshots)
        held = {day: _snapshot_of(day, days) for day in window.days()}
        return {day: snapshots[snapshot] if snapshot else [] for day, snapshot in held.items()}

    def _pieces_between(self, source: Source, window: Window) -> dict[date, list[Piece]]:
        with self._connection() as connection:
            rows = connection.execute(
                "select day, name, rows from pieces where source = ? and day >= ? and day < ? and exists"
                " (select 1 from paths where paths.source = pieces.source and paths.content_id = pieces.content_id)"
                " order by day, name",
                (source.name, window.start.isoformat(), window.end.isoformat()),
            ).fetchall()
        found: dict[date, list[Piece]] = defaultdict(list)
        for text, name, count in rows:
            day = date.fromisoformat(text)
            found[day].append(Piece(day, name, count))
        return found

    def _snapshots(self, source: Source) -> tuple[dict[date, list[Piece]], dict[date, tuple[str, list[str]]]]:
        """By day, the pieces of the newest delivery; where there are older deliveries, also its last file and theirs.

        The delivery that was dropped last is the newest.
        """
        with self._connection() as connection:
            rows = connection.execute(
                "select pieces.day, pieces.name, pieces.rows, paths.path from pieces inner join paths"
                " on paths.source = pieces.source and paths.content_id = pieces.content_id"
                " where pieces.source = ? order by pieces.day, paths.turn, paths.content_id, pieces.name",
                (source.name,),
            ).fetchall()
        by_day: dict[date, list[tuple[Piece, str]]] = defaultdict(list)
        for text, name, count, path in rows:
            day = date.fromisoformat(text)
            by_day[day].append((Piece(day, name, count), path))
        snapshots, replaced = {}, {}
        for day, held in by_day.items():
            newest = held[-1][1]
            delivery = source.delivery(newest)
            snapshots[day] = [piece for piece, path in held if source.delivery(path) == delivery]
            if others := sorted({path for _, path in held if source.delivery(path) != delivery}):
                replaced[day] = newest, others
        return snapshots, replaced

    def replaced_snapshots(self, source: Source) -> dict[date, tuple[str, list[str]]]:
        """The days with snapshots under several names: the newest file, which counts, and the others."""
        return self._snapshots(source)[1] if source.kind is Kind.SNAPSHOT else {}

    def newest_day(self, source: Source, window: Window) -> date | None:
        """The last day of a window for which current rows have landed."""
        with self._connection() as connection:
            (day,) = connection.execute(
                "select max(day) from pieces where source = ? and day >= ? and day < ? and exists"
                " (select 1 from paths where paths.source = pieces.source and paths.content_id = pieces.content_id)",
                (source.name, window.start.isoformat(), window.end.isoformat()),
            ).fetchone()
        return date.fromisoformat(day) if day else None

    def rejected(self, source: Source, window: Window) -> dict[date, int]:
        """Rejected rows of the current contents, for each day that has any."""
        with self._connection() as connection:
            rows = connection.execute(
                "select day, sum(rows) from rejected where source = ? and day >= ? and day < ? and exists"
                " (select 1 from paths where paths.source = rejected.source and paths.content_id = rejected.content_id)"
                " group by day",
                (source.name, window.start.isoformat(), window.end.isoformat()),
            ).fetchall()
        return {date.fromisoformat(day): count for day, count in rows}

    def unreadable(self, source: Source) -> dict[str, str]:
        """Paths whose newest bytes cannot be read, with the reason."""
        with self._connection() as connection:
            rows = connection.execute(
                "select path, error from paths where source = ? and error is not null order by path", (source.name,)
            ).fetchall()
        return dict(rows)

    def faults(self, source: Source) -> dict[str, Faults]:
        """The paths whose current content has rejects or unknown columns."""
        with self._connection() as connection:
            rows = connection.execute(
                "select paths.path, accepted, rejected, unknown_columns, swallowed"
                " from paths join contents on contents.id = paths.content_id"
                " where paths.source = ? and (rejected > 0 or unknown_columns <> '[]') order by paths.path",
                (source.name,),
            ).fetchall()
        return {
            path: Faults(
                accepted + rejected,
                rejected,
                json.loads(unknown),
                {int(row): lines for row, lines in json.loads(swallowed).items()},
            )
            for path, accepted, rejected, unknown, swallowed in rows
        }

    def current_paths(self, source: Source) -> dict[str, int]:
        """The paths with a current content, each with its accepted rows."""
        with self._connection() as connection:
            rows = connection.execute(
                "select paths.path, accepted from paths join contents on contents.id = paths.content_id"
                " where paths.source = ? order by paths.path",
                (source.name,),
            ).fetchall()
        return dict(rows)

    def current_identities(self, source: Source) -> set[str]:
        """The identities of the contents that are current under some path."""
        with self._connection() as connection:
            rows = connection.execute(
                "select distinct identity from contents inner join paths on contents.id = paths.content_id"
                " where paths.source = ?",
                (source.name,),
            ).fetchall()
        return {identity for (identity,) in rows}

    def waiting(self, source: Source, partitions: Window) -> dict[date, int]:
        """The rows that wait, by day: those of days before the first partition or after the last one.

        Only later snapshots wait: one from before the first partition is carried forward to it.
        """
        if source.kind is Kind.FACTS:
            return {day: n for day, n in self._current_rows(source).items() if not partitions.holds(day)}
        snapshots = self._snapshots(source)[0]
        used = {_snapshot_of(day, sorted(snapshots)) for day in partitions.days()}
        late = {day for day in snapshots if day >= partitions.end} - used
        return {day: sum(piece.rows for piece in snapshots[day]) for day in late}

    def _current_rows(self, source: Source) -> dict[date, int]:
        with self._connection() as connection:
            rows = connection.execute(
                "select day, sum(rows) from pieces where source = ? and exists (select 1 from paths where"
                " paths.source = pieces.source and paths.content_id = pieces.content_id) group by day",
                (source.name,),
            ).fetchall()
        return {date.fromisoformat(day): count for day, count in rows}

    def totals(self, source: Source, partitions: Window) -> Totals:
        """Where all rows of a source are, given the span of days that have a partition."""
        with self._connection() as connection:
            accepted, rejected = connection.execute(
                "select coalesce(sum(accepted), 0), coalesce(sum(rejected), 0) from contents where source = ?",
                (source.name,),
            ).fetchone()
        if source.kind is Kind.FACTS:
            current = self._current_rows(source)
            used = {day for day in current if partitions.start <= day < partitions.end}
            waiting = set(current) - used
        else:
            current = {day: sum(piece.rows for piece in pieces) for day, pieces in self._snapshots(source)[0].items()}
            days = sorted(current)
            used = {held for day in partitions.days() if (held := _snapshot_of(day, days))}
            waiting = {day for day in current if day >= partitions.end} - used
        in_days, waits = sum(current[d] for d in used), sum(current[d] for d in waiting)
        return Totals(accepted, in_days, waits, accepted - in_days - waits, rejected)


def unfinished_mark(lake_dir: Path, source: str) -> Path:
    """The file that exists while a source's landing writes, or after it left unrecorded pieces; as old as its start."""
    return lake_dir / f".landing-{source}.unfinished"


def is_leftover(file: Path, mark: Path) -> bool:
    """Whether a file that the ledger does not know was written by the landing that left the mark, or after it."""
    return mark.exists() and file.stat().st_mtime_ns >= mark.stat().st_mtime_ns


def _point(connection: sqlite3.Connection, source: Source, path: str, seen: Seen, identity: str) -> None:
    connection.execute(
        "insert into paths"
        " (source, path, size, mtime_ns, ctime_ns, inode, version, content_id, error, turn)"
        " select ?, ?, ?, ?, ?, ?, ?, (select id from contents where source = ? and identity = ?), null,"
        " (select coalesce(max(turn), 0) + 1 from paths where source = ?) where true"
        " on conflict do update set size = excluded.size, mtime_ns = excluded.mtime_ns,"
        " ctime_ns = excluded.ctime_ns, inode = excluded.inode,"
        " turn = case when content_id is excluded.content_id then turn else excluded.turn end,"
        " version = excluded.version, content_id = excluded.content_id, error = null",
        (source.name, path, *astuple(seen), source.name, identity, source.name),
    )


# --------------------------------------------------------------------------------------------- as the journal has it


def _entries(connection: sqlite3.Connection, source: str) -> Iterator[Entry]:
    """All that the ledger knows of a source, as journal entries."""
    identities = connection.execute("select identity from contents where source = ? order by id", (source,)).fetchall()
    for (identity,) in identities:
        yield from _contents(connection, source, identity)
    for (path,) in connection.execute("select path from paths where source = ? order by path", (source,)).fetchall():
        yield from _paths(connection, source, path)


def _contents(connection: sqlite3.Connection, source: str, identity: str) -> Iterator[Entry]:
    found = _dicts(connection, "select * from contents where source = ? and identity = ?", source, identity)
    for content in found:
        number = content["id"]
        parts = {table: _dicts(connection, f"select * from {table} where content_id = ?", number) for table in _PARTS}
        yield {"content": content, **parts}


def _paths(connection: sqlite3.Connection, source: str, path: str) -> Iterator[Entry]:
    for found in _dicts(connection, "select * from paths where source = ? and path = ?", source, path):
        current = connection.execute("select identity from contents where id = ?", (found["content_id"],)).fetchone()
        yield {"path": found, "identity": current and current[0]}


_PARTS = ("pieces", "rejected")
"""The tables that belong to a content."""


def _take_over(connection: sqlite3.Connection, source: str, entry: Entry) -> None:
    """Writes a journal entry into a ledger; it replaces an older entry about the same content or path."""
    if path := entry.get("path"):
        found = connection.execute(
            "select id from contents where source = ? and identity = ?", (source, entry["identity"])
        ).fetchone()
        _insert(connection, "paths", path | {"source": source, "content_id": found and found[0]})
        return
    content = entry["content"] | {"source": source, "id": None}
    where = "(select id from contents where source = ? and identity = ?)"
    for table in _PARTS:
        connection.execute(f"delete from {table} where content_id = {where}", (source, content["identity"]))
    content_id = _insert(connection, "contents", content)
    for table in _PARTS:
        for row in entry[table]:
            _insert(connection, table, row | {"source": source, "content_id": content_id})


def _insert(connection: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> int | None:
    held = {name for _, name, *_ in connection.execute(f"pragma table_info({table})")}
    known = {name: value for name, value in row.items() if name in held}
    names, values = ", ".join(known), ", ".join(f":{name}" for name in known)
    return connection.execute(f"insert or replace into {table} ({names}) values ({values})", known).lastrowid


def _dicts(connection: sqlite3.Connection, sql: str, *values: object) -> list[dict[str, Any]]:
    found = connection.execute(sql, values)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _snapshot_of(day: date, snapshot_days: list[date]) -> date | None:
    """The snapshot that holds on a day: the newest one up to that day, or else the first one."""
    if not snapshot_days:
        return None
    return snapshot_days[max(bisect_right(snapshot_days, day) - 1, 0)]


def version_of(pieces: Iterable[Piece]) -> str:
    """The version of a raw day: a hash of the names of its pieces, in any order."""
    names = sorted(piece.name for piece in pieces)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def wanted_versions(ledger: Ledger, source: Source, partitions: Window) -> Mapping[date, str]:
    """The version that each raw day should have."""
    return {day: version_of(pieces) for day, pieces in ledger.pieces(source, partitions).items()}
