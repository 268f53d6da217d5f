"""The ledger: what was landed from where, which pieces hold it, and which content is current.

SQLite, because many processes may read and write it concurrently and a kill at any moment leaves it whole. It holds no
rows of data, only where they are. A *content* is the bytes of a file, landed once; a *path* is a name in the inbox
and points to the content that was last dropped there.

Nothing is landed, made or reported without the ledger: an empty one would look as if no row had ever come. Each write
is also a line of the source's journal, from which `rebuild` restores the ledger. The ledger is written first, so it
never knows less than a journal holds, unless the ledger was lost or replaced.
"""

import hashlib
import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Date,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    UniqueConstraint,
    case,
    cast,
    delete,
    func,
    literal,
    select,
    update,
)

from analytics_assets.foundation.batches import batched
from analytics_assets.foundation.files import Damaged, only_one, replacing
from analytics_assets.partitions import Window
from analytics_assets.spec.source import Kind, Source
from analytics_assets.state import journal
from analytics_assets.state.database import AT_ONCE, Store, insert, tuples
from analytics_assets.state.journal import Entry, Journal, line_of

TABLES = MetaData()
_CONTENTS = Table(
    "contents",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column(
        "identity",
        Text,
        nullable=False,
        comment="the bytes' hash; for snapshots with the path, and for deliveries with the day that it holds",
    ),
    Column("path", Text, nullable=False, comment="under which it was landed first"),
    Column("hash", Text, nullable=False),
    Column("landed_at", Text, nullable=False),
    Column("accepted", Integer, nullable=False, comment="rows"),
    Column("rejected", Integer, nullable=False, comment="rows"),
    Column("unknown_columns", JSON, nullable=False, comment="array"),
    Column(
        "swallowed",
        JSON,
        nullable=False,
        server_default="{}",
        comment="by row, the lines of a reject that spans several",
    ),
    Column("spec", Text, nullable=False, server_default="", comment="digest of the spec that read it; empty: unknown"),
    UniqueConstraint("source", "identity"),
)
_PIECES = Table(
    "pieces",
    TABLES,
    Column("content_id", ForeignKey(_CONTENTS.c.id), nullable=False),
    Column("source", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("name", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Index("pieces_by_day", "source", "day"),
    Index("pieces_by_content", "content_id"),
)
_REJECTED = Table(
    "rejected",
    TABLES,
    Column("content_id", ForeignKey(_CONTENTS.c.id), nullable=False),
    Column("source", Text, nullable=False),
    Column("day", Date, comment="null where the time could not be read"),
    Column("rows", Integer, nullable=False),
    Index("rejected_by_day", "source", "day"),
    Index("rejected_by_content", "content_id"),
)
_PATHS = Table(
    "paths",
    TABLES,
    Column("source", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("version", Integer, nullable=False, comment="of the spec that read it"),
    Column("content_id", Integer, comment="what is current under this path; null when nothing readable ever was"),
    Column("error", Text, comment="why the newest bytes could not be read"),
    Column("ctime_ns", BigInteger, nullable=False, server_default="0"),
    Column("inode", Text, nullable=False, server_default="", comment="a number that may not fit into 64 bits"),
    Column(
        "turn",
        Integer,
        nullable=False,
        server_default="0",
        comment="which change of what is current this was, counted over the paths of the source",
    ),
    Index("paths_by_content", "source", "content_id"),
    Index("paths_by_turn", "source", "turn"),
)
_JOURNALS = Table(
    "journals",
    TABLES,
    Column("source", Text, primary_key=True),
    Column("bytes", BigInteger, nullable=False, comment="so many at most does the source's journal hold"),
)

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


@dataclass(frozen=True)
class Found:
    """What a landing found under a path: bytes that landed, now or before, or bytes that cannot be read.

    Attributes:
        identity: of the content that is current now; None with an error.
        error: why the bytes could not be read.
    """

    path: str
    seen: Seen
    identity: str | None
    error: str | None = None


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
        self._lake_dir, self._landed_dir = lake_dir, lake_dir / "landed"
        self._store = Store(lake_dir / "ledger.sqlite", TABLES, _REPAIR)

    def state(self) -> tuple[object, ...]:
        """A value that changes whenever the ledger does, or one of the journals that it is checked against."""
        return *self._store.version(), *sorted(journal.sizes(self._landed_dir).items())

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection to the ledger, after a check that it knows all that the journals hold."""
        held = journal.sizes(self._landed_dir)  # read before the ledger, since writes reach the ledger first
        with self._store.reading() as connection:
            self._require_complete(connection, held)
            yield connection

    def _require_complete(self, connection: Connection, held: Mapping[str, int]) -> None:
        known = {source: size for source, size in tuples(connection.execute(select(_JOURNALS)))}
        lacking = [name for name, size in held.items() if size > known.get(name, 0)]
        lacking += [name for name, size in held.items() if not size and self._is_unknown(connection, name)]
        if _is_emptied(connection):
            lacking += known
        if lacking:
            raise Damaged(
                f"{self._store.file} is gone, was emptied, or is older than the landed pieces of "
                f"{', '.join(sorted(set(lacking)))}: {_REPAIR}"
            )

    def _is_unknown(self, connection: Connection, name: str) -> bool:
        """Whether a source has pieces, although the ledger knows no content of it and no first landing was killed."""
        if connection.scalar(_any_of(_CONTENTS, _CONTENTS.c.source == name)):
            return False
        mark = unfinished_mark(self._lake_dir, name)
        return not all(is_leftover(file, mark) for file in self._landed(name).values())

    def _landed(self, name: str) -> dict[str, Path]:
        """The pieces of a source that exist, by name."""
        return {file.stem: file for file in (self._landed_dir / name).glob("*/*.parquet")}

    @contextmanager
    def _writing(self, source: Source) -> Iterator[tuple[Connection, list[Entry]]]:
        """A transaction, and a list for the entries that it writes; they are added to the journal after its commit."""
        kept, entries = Journal(self._landed_dir, source.name), list[Entry]()
        of_source = _JOURNALS.c.source == source.name
        held = journal.sizes(self._landed_dir)
        with self._store.writing() as connection:
            self._require_complete(connection, held)
            yield connection, entries
            known = connection.scalar(select(_JOURNALS.c.bytes).where(of_source))
            is_whole = known is not None and known == kept.size()
            # A kill or a power cut may keep entries out of the journal: then it is rewritten from the ledger.
            lines = [line_of(entry) for entry in (entries if is_whole else _entries(connection, source.name))]
            size = sum(map(len, lines)) + (known if known is not None and is_whole else 0)
            at_most = max(size, known or 0)  # until the journal is written, it may be as long as before
            connection.execute(delete(_JOURNALS).where(of_source))
            connection.execute(insert(_JOURNALS), {"source": source.name, "bytes": at_most})
        if is_whole:
            kept.append(b"".join(lines))
        else:
            kept.replace(lines)
            with self._store.writing() as connection:
                connection.execute(update(_JOURNALS).where(of_source).values(bytes=size))

    def rebuild(self) -> Rebuilt | None:
        """Rebuilds a lost or damaged ledger from the journals; None if the ledger is whole.

        Raises:
            Damaged: a journal is damaged, or there are pieces that no journal knows.
        """
        with only_one(self._lake_dir / ".repair.lock"):
            try:
                with self._reading():
                    self._store.require_whole()
                return None
            except Damaged:
                pass
            names = sorted(journal.sizes(self._landed_dir))
            entries = {name: Journal(self._landed_dir, name).read() for name in names}
            gone = self._require_known_pieces(entries)
            with replacing(self._store.file) as temporary:
                rebuilt = Store(temporary, TABLES, _REPAIR)
                with rebuilt.writing() as connection:
                    for name in names:
                        for entry in entries[name]:
                            _take_over(connection, name, entry)
                        size = Journal(self._landed_dir, name).size()
                        connection.execute(insert(_JOURNALS), {"source": name, "bytes": size})
                    counted = select(func.count(), func.coalesce(func.sum(_CONTENTS.c.accepted), 0))
                    contents, rows = tuples(connection.execute(counted.select_from(_CONTENTS)))[0]
                rebuilt.put_into_one_file()
                self._put_aside()
            return Rebuilt(contents, rows, gone)

    def _require_known_pieces(self, entries: Mapping[str, Sequence[Entry]]) -> list[Path]:
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
        file = self._store.file
        if file.exists():
            file.rename(file.with_name(f"{file.name}.{datetime.now(UTC):%Y%m%dT%H%M%S%f}.damaged"))
        for ending in ("-wal", "-shm"):
            file.with_name(file.name + ending).unlink(missing_ok=True)

    def forget(self, source: Source) -> None:
        """Drops all that is known of a source, whose pieces and journal are gone."""
        if not self._store.file.exists():
            return
        with self._store.writing() as connection:
            for table in (_PIECES, _REJECTED, _PATHS, _CONTENTS, _JOURNALS):
                connection.execute(delete(table).where(table.c.source == source.name))

    # ------------------------------------------------------------------------------------------------- landing

    def seen(self, source: Source, paths: Iterable[str]) -> dict[str, Seen]:
        """The paths among some that the ledger knows, each as it was last seen."""
        found: dict[str, Seen] = {}
        wanted = select(_PATHS.c.path, *(_PATHS.c[name] for name in _SEEN)).where(_PATHS.c.source == source.name)
        with self._reading() as connection:
            for some in batched(paths, AT_ONCE):
                rows = tuples(connection.execute(wanted.where(_PATHS.c.path.in_(some))))
                found |= {path: Seen(*rest) for path, *rest in rows}
        return found

    def count_paths(self, source: Source) -> int:
        """How many paths the ledger knows; the number never decreases."""
        with self._reading() as connection:
            return connection.scalar(select(func.count()).where(_PATHS.c.source == source.name)) or 0

    def known(self, source: Source, identities: Iterable[str]) -> set[str]:
        """The identities among some whose bytes have been landed before."""
        with self._reading() as connection:
            return {held for some in batched(identities, AT_ONCE) for held in _ids(connection, source.name, some)}

    def has_landed(self, source: Source) -> bool:
        """Whether anything of a source has ever landed, even a file without rows."""
        with self._reading() as connection:
            return bool(connection.scalar(_any_of(_CONTENTS, _CONTENTS.c.source == source.name)))

    def first_landed(self, source: Source, digests: Collection[str]) -> dict[str, datetime]:
        """When each of some bytes landed first, in UTC; a spec with a new version reads them again."""
        wanted = (
            select(_CONTENTS.c.hash, func.min(_CONTENTS.c.landed_at))
            .where(_CONTENTS.c.source == source.name, _CONTENTS.c.hash.in_(digests))
            .group_by(_CONTENTS.c.hash)
        )
        with self._reading() as connection:
            return {digest: datetime.fromisoformat(at) for digest, at in tuples(connection.execute(wanted))}

    def record(self, source: Source, contents: Sequence[Content], found: Sequence[Found]) -> None:
        """Records landed contents, and what was found under some paths, in their order: one transaction.

        A content becomes current under the paths where it was found. If a path's bytes cannot be read, its current
        content stays current.
        """
        name = source.name
        with self._writing(source) as (connection, entries):
            _add(connection, source, contents)
            _point(connection, name, [one for one in found if one.error is None])
            refused = [
                {"source": name, "path": one.path, **asdict(one.seen), "error": one.error}
                for one in found
                if one.error is not None
            ]
            _upsert_paths(connection, refused, (*_SEEN, "error"))
            entries += _contents(connection, name, [content.identity for content in contents])
            entries += _paths(connection, name, [one.path for one in found])

    def identities_and_pieces(self, source: Source) -> tuple[set[str], set[str]]:
        """The identities of all contents of a source, and the names of all their pieces."""
        with self._reading() as connection:
            identities = _values(connection, select(_CONTENTS.c.identity).where(_CONTENTS.c.source == source.name))
            names = _values(connection, select(_PIECES.c.name).where(_PIECES.c.source == source.name))
            return set(identities), set(names)

    # ---------------------------------------------------------------------------------------------- what is current

    def pieces(self, source: Source, window: Window) -> dict[date, list[Piece]]:
        """The pieces that each day of the window should hold; snapshots are carried forward, the first also back."""
        if source.kind is not Kind.SNAPSHOT:
            found = self._pieces_between(source, window)
            return {day: found.get(day, []) for day in window.days()}
        snapshots, _ = self._snapshots(source)
        days = sorted(snapshots)
        held = {day: _snapshot_of(day, days) for day in window.days()}
        return {day: snapshots[snapshot] if snapshot else [] for day, snapshot in held.items()}

    def _pieces_between(self, source: Source, window: Window) -> dict[date, list[Piece]]:
        wanted = select(_PIECES.c.day, _PIECES.c.name, _PIECES.c.rows).where(*_current(_PIECES, source, window))
        found: dict[date, list[Piece]] = defaultdict(list)
        with self._reading() as connection:
            for day, name, count in tuples(connection.execute(wanted.order_by(_PIECES.c.day, _PIECES.c.name))):
                found[day].append(Piece(day, name, count))
        return found

    def _snapshots(self, source: Source) -> tuple[dict[date, list[Piece]], dict[date, tuple[str, list[str]]]]:
        """By day, the pieces of the newest snapshot; where there are older ones, also its last file and theirs.

        The snapshot that was dropped last is the newest.
        """
        wanted = (
            select(_PIECES.c.day, _PIECES.c.name, _PIECES.c.rows, _PATHS.c.path)
            .join(_PATHS, _is_of(_PIECES))
            .where(_PIECES.c.source == source.name)
            .order_by(_PIECES.c.day, _PATHS.c.turn, _PATHS.c.content_id, _PIECES.c.name)
        )
        with self._reading() as connection:
            rows = tuples(connection.execute(wanted))
        by_day: dict[date, list[tuple[Piece, str]]] = defaultdict(list)
        for day, name, count, path in rows:
            by_day[day].append((Piece(day, name, count), path))
        snapshots, replaced = {}, {}
        for day, held in by_day.items():
            newest = held[-1][1]
            key = source.snapshot_key(newest)
            snapshots[day] = [piece for piece, path in held if source.snapshot_key(path) == key]
            if others := sorted({path for _, path in held if source.snapshot_key(path) != key}):
                replaced[day] = newest, others
        return snapshots, replaced

    def replaced_snapshots(self, source: Source) -> dict[date, tuple[str, list[str]]]:
        """The days with snapshots under several names: the newest file, which counts, and the others."""
        return self._snapshots(source)[1] if source.kind is Kind.SNAPSHOT else {}

    def newest_day(self, source: Source, window: Window) -> date | None:
        """The last day of a window for which current rows have landed."""
        with self._reading() as connection:
            return connection.scalar(select(func.max(_PIECES.c.day)).where(*_current(_PIECES, source, window)))

    def rejected(self, source: Source, window: Window) -> dict[date, int]:
        """Rejected rows of the current contents, for each day that has any."""
        return self._rows_by_day(_REJECTED, source, window)

    def _rows_by_day(self, table: Table, source: Source, window: Window | None = None) -> dict[date, int]:
        wanted = select(table.c.day, func.sum(table.c.rows)).where(*_current(table, source, window))
        with self._reading() as connection:
            return {day: rows for day, rows in tuples(connection.execute(wanted.group_by(table.c.day)))}

    def unreadable(self, source: Source) -> dict[str, str]:
        """Paths whose newest bytes cannot be read, with the reason."""
        wanted = select(_PATHS.c.path, _PATHS.c.error).where(
            _PATHS.c.source == source.name, _PATHS.c.error.is_not(None)
        )
        with self._reading() as connection:
            return {path: error for path, error in tuples(connection.execute(wanted.order_by(_PATHS.c.path)))}

    def faults(self, source: Source) -> dict[str, Faults]:
        """The paths whose current content has rejects or unknown columns."""
        held = _CONTENTS.c
        wanted = (
            select(_PATHS.c.path, held.accepted, held.rejected, held.unknown_columns, held.swallowed)
            .join(_CONTENTS, held.id == _PATHS.c.content_id)
            .where(_PATHS.c.source == source.name)
            .where((held.rejected > 0) | (cast(held.unknown_columns, Text) != "[]"))
            .order_by(_PATHS.c.path)
        )
        with self._reading() as connection:
            rows = tuples(connection.execute(wanted))
        return {
            path: Faults(accepted + rejected, rejected, unknown, {int(row): n for row, n in swallowed.items()})
            for path, accepted, rejected, unknown, swallowed in rows
        }

    def read_by_another_spec(self, source: Source) -> list[str]:
        """The paths whose current content an unlike spec of the same version has read."""
        held = _CONTENTS.c
        wanted = (
            select(_PATHS.c.path)
            .join(_CONTENTS, held.id == _PATHS.c.content_id)
            .where(_PATHS.c.source == source.name, _PATHS.c.version == source.reading, _PATHS.c.error.is_(None))
            .where(held.spec.not_in(["", source.reads_by]))
        )
        with self._reading() as connection:
            return _values(connection, wanted.order_by(_PATHS.c.path))

    def identities(self, source: Source) -> dict[str, str]:
        """The identity of the current content of each path."""
        wanted = (
            select(_PATHS.c.path, _CONTENTS.c.identity)
            .join(_CONTENTS, _CONTENTS.c.id == _PATHS.c.content_id)
            .where(_PATHS.c.source == source.name)
        )
        with self._reading() as connection:
            return dict(tuples(connection.execute(wanted)))

    def current_paths(self, source: Source) -> dict[str, int]:
        """The paths with a current content, each with its accepted rows."""
        wanted = (
            select(_PATHS.c.path, _CONTENTS.c.accepted)
            .join(_CONTENTS, _CONTENTS.c.id == _PATHS.c.content_id)
            .where(_PATHS.c.source == source.name)
        )
        with self._reading() as connection:
            return {path: accepted for path, accepted in tuples(connection.execute(wanted.order_by(_PATHS.c.path)))}

    def current_identities(self, source: Source) -> set[str]:
        """The identities of the contents that are current under some path."""
        wanted = (
            select(_CONTENTS.c.identity)
            .join(_PATHS, _CONTENTS.c.id == _PATHS.c.content_id)
            .where(_PATHS.c.source == source.name)
        )
        with self._reading() as connection:
            return set(_values(connection, wanted))

    def waiting(self, source: Source, partitions: Window) -> dict[date, int]:
        """The rows that wait, by day: those of days before the first partition or after the last one.

        Only later snapshots wait: one from before the first partition is carried forward to it.
        """
        return self._used_and_waiting(source, partitions)[1]

    def _used_and_waiting(self, source: Source, partitions: Window) -> tuple[dict[date, int], dict[date, int]]:
        """The current rows of the days or snapshots that partitions hold, and of those that wait."""
        if source.kind is not Kind.SNAPSHOT:
            current = self._rows_by_day(_PIECES, source)
            used = {day for day in current if partitions.holds(day)}
            waiting = current.keys() - used
        else:
            current = {day: sum(piece.rows for piece in pieces) for day, pieces in self._snapshots(source)[0].items()}
            days = sorted(current)
            used = {held for day in partitions.days() if (held := _snapshot_of(day, days))}
            waiting = {day for day in days if day >= partitions.end} - used
        return {day: current[day] for day in used}, {day: current[day] for day in waiting}

    def totals(self, source: Source, partitions: Window) -> Totals:
        """Where all rows of a source are, given the span of days that have a partition."""
        accepted, rejected = (func.coalesce(func.sum(_CONTENTS.c[name]), 0) for name in ("accepted", "rejected"))
        with self._reading() as connection:
            landed = connection.execute(select(accepted, rejected).where(_CONTENTS.c.source == source.name)).one()
        in_days, waits = (sum(rows.values()) for rows in self._used_and_waiting(source, partitions))
        return Totals(landed[0], in_days, waits, landed[0] - in_days - waits, landed[1])


def unfinished_mark(lake_dir: Path, source: str) -> Path:
    """The file that exists while a source's landing writes, or after it left unrecorded pieces; as old as its start."""
    return lake_dir / f".landing-{source}.unfinished"


def is_leftover(file: Path, mark: Path) -> bool:
    """Whether a file that the ledger does not know was written by the landing that left the mark, or after it."""
    return mark.exists() and file.stat().st_mtime_ns >= mark.stat().st_mtime_ns


_SEEN = tuple(one.name for one in fields(Seen))
"""The columns of a path that hold how its file was last seen."""


def _any_of(table: Table, *where: ColumnElement[bool]) -> Select[tuple[bool]]:
    return select(select(literal(1)).select_from(table).where(*where).exists())


_WHAT_IS_THERE = select(
    *(select(literal(1)).select_from(table).exists() for table in (_JOURNALS, _PATHS, _PIECES)),
    select(literal(1)).select_from(_CONTENTS).where(_CONTENTS.c.accepted > 0).exists(),
)


def _is_emptied(connection: Connection) -> bool:
    """Whether somebody deleted rows from a ledger that had some."""
    has_journals, has_paths, has_pieces, has_rows = (bool(there) for there in connection.execute(_WHAT_IS_THERE).one())
    return (has_rows and not has_pieces) or (has_journals and not has_paths)


def _values(connection: Connection, wanted: Select[Any]) -> list[Any]:
    """The only column of some rows."""
    return [value for (value,) in tuples(connection.execute(wanted))]


def _content_id(source: str, identity: str | None) -> Select[tuple[int]]:
    return select(_CONTENTS.c.id).where(_CONTENTS.c.source == source, _CONTENTS.c.identity == identity)


def _is_of(table: Table) -> ColumnElement[bool]:
    """Whether a path's current content is the one that a row belongs to."""
    return (_PATHS.c.source == table.c.source) & (_PATHS.c.content_id == table.c.content_id)


def _current(table: Table, source: Source, window: Window | None = None) -> list[ColumnElement[bool]]:
    """The rows of current contents of a source, on the days of a window."""
    days = [] if window is None else [table.c.day >= window.start, table.c.day < window.end]
    return [table.c.source == source.name, *days, select(literal(1)).where(_is_of(table)).exists()]


def _ids(connection: Connection, source: str, identities: Collection[str]) -> dict[str, int]:
    """The ids of the contents among some identities that the ledger knows."""
    held = _CONTENTS.c
    wanted = select(held.identity, held.id).where(held.source == source, held.identity.in_(identities))
    return dict(tuples(connection.execute(wanted)))


def _add(connection: Connection, source: Source, contents: Sequence[Content]) -> None:
    if not contents:
        return
    rows = [
        {
            "source": source.name,
            "identity": content.identity,
            "path": content.path,
            "hash": content.hash,
            "landed_at": content.landed_at.isoformat(),
            "accepted": content.accepted_rows,
            "rejected": content.rejected_rows,
            "unknown_columns": content.unknown_columns,
            "swallowed": {str(row): lines for row, lines in content.swallowed.items()},
            "spec": source.reads_by,
        }
        for content in contents
    ]
    connection.execute(insert(_CONTENTS), rows)
    ids = _ids(connection, source.name, [content.identity for content in contents])
    pieces, rejected = [], []
    for content in contents:
        of_content = {"content_id": ids[content.identity], "source": source.name}
        pieces += [of_content | {"day": one.day, "name": one.name, "rows": one.rows} for one in content.pieces]
        rejected += [of_content | {"day": day, "rows": number} for day, number in content.rejected.items()]
    for table, parts in ((_PIECES, pieces), (_REJECTED, rejected)):
        if parts:
            connection.execute(insert(table), parts)


def _point(connection: Connection, source: str, found: Sequence[Found]) -> None:
    """Makes contents current under paths. A path that had the same content keeps its turn."""
    ids = _ids(connection, source, [one.identity for one in found if one.identity])
    last = connection.scalar(select(func.coalesce(func.max(_PATHS.c.turn), 0)).where(_PATHS.c.source == source)) or 0
    rows = [
        {
            **{"source": source, "path": one.path, **asdict(one.seen)},
            **{"content_id": ids[one.identity or ""], "error": None, "turn": turn},
        }
        for turn, one in enumerate(found, start=last + 1)
    ]
    _upsert_paths(connection, rows, (*_SEEN, "content_id", "error", "turn"))


def _upsert_paths(connection: Connection, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Writes rows of paths; of a path that is known, only the named columns change."""
    if not rows:
        return
    new = insert(_PATHS)
    values: dict[str, Any] = {name: new.excluded[name] for name in columns}
    if "turn" in values:
        is_the_same = _PATHS.c.content_id.is_not_distinct_from(values["content_id"])
        values["turn"] = case((is_the_same, _PATHS.c.turn), else_=values["turn"])
    connection.execute(new.on_conflict_do_update(index_elements=[*_PATHS.primary_key], set_=values), rows)


# --------------------------------------------------------------------------------------------- as the journal has it


def _entries(connection: Connection, source: str) -> Iterator[Entry]:
    """All that the ledger knows of a source, as journal entries."""
    yield from _contents(connection, source)
    yield from _paths(connection, source)


def _contents(connection: Connection, source: str, identities: Collection[str] | None = None) -> Iterator[Entry]:
    """All contents of a source, or those with some identities."""
    of_source: list[ColumnElement[bool]] = [_CONTENTS.c.source == source]
    if identities is not None:
        of_source.append(_CONTENTS.c.identity.in_(identities))
    contents = _dicts(connection, select(_CONTENTS).where(*of_source).order_by(_CONTENTS.c.id))
    parts: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for table in _PARTS:
        parts[table.name] = defaultdict(list)
        of_contents = table.c.content_id.in_(select(_CONTENTS.c.id).where(*of_source))
        for part in _dicts(connection, select(table).where(of_contents)):
            parts[table.name][part["content_id"]].append(part)
    for content in contents:
        texts = {name: json.dumps(content[name]) for name in _JSON}
        yield {"content": content | texts, **{name: held[content["id"]] for name, held in parts.items()}}


def _paths(connection: Connection, source: str, paths: Collection[str] | None = None) -> Iterator[Entry]:
    """All paths of a source, or some."""
    wanted = select(_PATHS, _CONTENTS.c.identity).outerjoin(_CONTENTS, _CONTENTS.c.id == _PATHS.c.content_id)
    if paths is not None:
        wanted = wanted.where(_PATHS.c.path.in_(paths))
    for found in _dicts(connection, wanted.where(_PATHS.c.source == source).order_by(_PATHS.c.path)):
        identity = found.pop("identity")
        yield {"path": found, "identity": identity}


_PARTS = (_PIECES, _REJECTED)
"""The tables that belong to a content."""

_JSON = ("unknown_columns", "swallowed")
"""The columns of a content that hold JSON; a journal holds them as texts."""


def _take_over(connection: Connection, source: str, entry: Entry) -> None:
    """Writes a journal entry into a ledger; it replaces an older entry about the same content or path."""
    if path := entry.get("path"):
        row = path | {"source": source, "content_id": connection.scalar(_content_id(source, entry["identity"]))}
        connection.execute(delete(_PATHS).where(_PATHS.c.source == source, _PATHS.c.path == path["path"]))
        _insert(connection, _PATHS, [row])
        return
    content = entry["content"]
    texts = {name: json.loads(content[name]) for name in _JSON if name in content}
    before = connection.scalar(_content_id(source, content["identity"]))
    for table in _PARTS:
        connection.execute(delete(table).where(table.c.content_id == before))
    connection.execute(delete(_CONTENTS).where(_CONTENTS.c.id == before))
    _insert(connection, _CONTENTS, [content | texts | {"source": source, "id": before}])
    content_id = connection.scalar(_content_id(source, content["identity"]))
    for table in _PARTS:
        _insert(connection, table, [row | {"source": source, "content_id": content_id} for row in entry[table.name]])


def _insert(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Inserts rows as a journal holds them: without columns that the table lacks, and with days as texts."""
    known = [{name: value for name, value in row.items() if name in table.c} for row in rows]
    dated = [row | {"day": date.fromisoformat(row["day"])} if row.get("day") else row for row in known]
    if dated:
        connection.execute(insert(table), dated)


def _dicts(connection: Connection, wanted: Select[Any]) -> list[dict[str, Any]]:
    """Rows as a journal holds them."""
    found = connection.execute(wanted).mappings()
    return [{name: str(value) if isinstance(value, date) else value for name, value in row.items()} for row in found]


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
