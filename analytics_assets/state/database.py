"""Opens the small stores of what is remembered, to read or write: also missing, damaged, or of an older schema.

A store is a SQLite file. Its tables and all its statements are SQLAlchemy's, so what asks for another database is this
module alone.
"""

import os
import sqlite3
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import TypeVarTuple, cast

from sqlalchemy import Connection, Engine, MetaData, NullPool, Result, create_engine, event
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.dialects.sqlite import insert as insert  # PostgreSQL's knows the same conflict clauses
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from analytics_assets.foundation.files import Damaged

_FOREIGN = ("no such table", "no such column", "has no column named")
"""What SQLite says of a database that is not one of these stores."""

_Columns = TypeVarTuple("_Columns")


def tuples(result: Result[*_Columns]) -> list[tuple[*_Columns]]:
    """All rows of a result, with the types of their columns. SQLAlchemy's rows are tuples, which mypy does not see."""
    return cast(list[tuple[*_Columns]], result.all())


AT_ONCE = 10_000
"""How many values a statement may name; SQLite takes 32,766."""


@dataclass(frozen=True)
class Store:
    """A database file with some tables; missing tables and columns are created when it is opened to be written.

    Attributes:
        if_damaged: what to do about a file that is not such a store, as the end of a sentence.
    """

    file: Path
    tables: MetaData
    if_damaged: str

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the store and writes nothing; a missing store counts as empty.

        Raises:
            Damaged: the file is damaged, or is not such a store; also if that shows only within the block.
            sqlite3.OperationalError: the store cannot be read, or not now.
        """
        with self._translated_errors(), _engine(self.file, self.tables, writes=False).connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, committed at the end of the block; other writers wait for it.

        Raises:
            Damaged: the file is damaged, or is not such a store; also if that shows only within the block.
            sqlite3.OperationalError: the store cannot be written, or not now.
        """
        with self._translated_errors(), _engine(self.file, self.tables, writes=True).begin() as connection:
            yield connection

    def version(self) -> tuple[object, ...]:
        """A value that differs after each change, and if another file took this one's place; opens no connection."""
        found: list[object] = []
        with _holding:
            for ending, length in _HEADERS.items():
                try:
                    found += _first_bytes(self.file.with_name(self.file.name + ending), length)
                except OSError:
                    found.append(None)
        return tuple(found)

    def require_whole(self) -> None:
        """Reads all of the store.

        Raises:
            Damaged: the file is damaged.
        """
        with self.reading() as connection:
            said = tuples(connection.exec_driver_sql("pragma integrity_check"))
        if said != [("ok",)]:
            raise Damaged(f"{self.file} is damaged ({said[0][0]}): {self.if_damaged}")

    def put_into_one_file(self) -> None:
        """Lets the file hold everything, so that it may be moved; nobody else may have it open."""
        with self._translated_errors(), closing(_connected(self.file, _schema(self.tables))) as connection:
            connection.execute("pragma journal_mode = delete")

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            with suppress(FileNotFoundError):
                if not self.file.is_file() and self.file.lstat():
                    raise Damaged(f"{self.file} is no file: {self.if_damaged}")
            yield
        except (DBAPIError, sqlite3.DatabaseError) as raised:
            error = raised.orig if isinstance(raised, DBAPIError) and raised.orig else raised
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            is_foreign = code == sqlite3.SQLITE_ERROR and any(said in str(error) for said in _FOREIGN)
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or is_foreign:
                raise Damaged(f"{self.file} is damaged ({error}): {self.if_damaged}") from error
            if isinstance(error, sqlite3.OperationalError) and str(self.file) not in str(error):
                raise sqlite3.OperationalError(f"{self.file}: {error}") from error
            raise error from None


@lru_cache(maxsize=256)
def _engine(file: Path, tables: MetaData, *, writes: bool) -> Engine:
    schema = _schema(tables)
    engine = create_engine(
        "sqlite://",
        creator=lambda: _connected(file, schema) if writes else _connected_to_read(file, schema),
        poolclass=NullPool,  # a file that somebody replaces is opened anew
    )

    # sqlite3 would begin a transaction on its own, and only at the first write
    # (docs.sqlalchemy.org/en/20/dialects/sqlite.html#pysqlite-serializable).
    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        connection.exec_driver_sql("begin immediate" if writes else "begin")

    return engine


@cache
def _schema(tables: MetaData) -> str:
    """The statements that create the tables and indexes which are missing."""
    made: list[DDLElement] = [CreateTable(table, if_not_exists=True) for table in tables.sorted_tables]
    indexes = [
        CreateIndex(index, if_not_exists=True)
        for table in tables.sorted_tables
        for index in sorted(table.indexes, key=lambda one: one.name or "")
    ]
    return ";\n".join(str(statement.compile(dialect=dialect())) for statement in [*made, *indexes])


_HEADERS = {"": 100, "-wal": 32, "-shm": 48}
"""The first bytes of a store and of the files that SQLite keeps beside it.

While any connection is open, those of the log's index (`-shm`) hold a counter of all changes
(sqlite.org/walformat.html, "The WAL-Index Header"). Afterwards a change shows in the size and time of the store or of
its log.
"""

_FILES_HELD = 60
_held: OrderedDict[Path, tuple[int, int]] = OrderedDict()
_holding = Lock()


def _first_bytes(file: Path, length: int) -> tuple[object, ...]:
    """Inode, size, time and first bytes of a file.

    The file stays open: to close it would release the locks that SQLite holds on it in this process
    (sqlite.org/howtocorrupt.html, 2.2).
    """
    stat = file.stat()
    inode, descriptor = _held.get(file, (-1, -1))
    if inode != stat.st_ino:
        opened = os.open(file, os.O_RDONLY)
        if descriptor >= 0:
            os.close(descriptor)  # of a file that is gone
        inode, descriptor = os.fstat(opened).st_ino, opened
        _held[file] = (inode, descriptor)
        while len(_held) > _FILES_HELD:
            os.close(_held.popitem(last=False)[1][1])
    _held.move_to_end(file)
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, os.pread(descriptor, length, 0)


def _until_nobody_is_in_the_way() -> Retrying:
    """For a change of the journal mode, for which SQLite itself does not wait."""
    return Retrying(
        retry=retry_if_exception(lambda error: getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY),
        stop=stop_after_delay(60),
        wait=wait_fixed(0.01),
        reraise=True,
    )


def _version(schema: str) -> int:
    return zlib.crc32(schema.encode()) & 0x7FFFFFFF


def _connected(path: Path, schema: str) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    try:
        if connection.execute("pragma user_version").fetchone()[0] != _version(schema):
            for attempt in _until_nobody_is_in_the_way():
                with attempt:
                    connection.execute("pragma journal_mode = wal")
            _make_what_is_lacking(connection, schema)
        connection.execute("pragma synchronous = full")
    except BaseException:
        connection.close()
        raise
    return connection


def _connected_to_read(path: Path, schema: str) -> sqlite3.Connection:
    """A connection to the store; if it is missing or of an older schema, to an in-memory store or copy."""
    if not path.exists():
        connection = sqlite3.connect(":memory:", isolation_level=None)
        _make_what_is_lacking(connection, schema)
        return connection
    # Readers and writers coordinate through files that SQLite creates and removes again. In a read-only folder SQLite
    # cannot create them, and needs none as long as nobody writes; then there is no log either.
    has_log = path.with_name(f"{path.name}-wal").exists()
    alone = "mode=ro" if has_log else "mode=ro&immutable=1"
    may_write = _may_write(path) and _may_write(path.parent)
    mode = "mode=rw" if may_write else alone
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", timeout=60, isolation_level=None, uri=True)
    try:
        is_current = connection.execute("pragma user_version").fetchone()[0] == _version(schema)
        if not is_current and may_write:  # brought up to date once, not copied at every read
            _connected(path, schema).close()
            is_current = True
        connection.execute("pragma query_only = on")
        if is_current:
            return connection
        copy = sqlite3.connect(":memory:", isolation_level=None)
        connection.backup(copy)
        _make_what_is_lacking(copy, schema)
    except BaseException:
        connection.close()
        raise
    connection.close()
    return copy


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _make_what_is_lacking(connection: sqlite3.Connection, schema: str) -> None:
    """Creates the tables and columns that a store lacks; a new column must be nullable or have a default."""
    with sqlite3.connect(":memory:") as wanted:
        wanted.executescript(schema)
        columns = {table: _columns(wanted, table) for table in _tables(wanted)}
    wanted.close()
    tables = _tables(connection)
    if tables and not tables & columns.keys():
        raise sqlite3.OperationalError(f"no such table: {min(columns)}")
    for table in tables & columns.keys():
        held = _columns(connection, table)
        for name, definition in columns[table].items():
            if name not in held:
                try:
                    connection.execute(f"alter table {table} add column {definition}")
                except sqlite3.OperationalError as error:
                    if "duplicate column name" not in str(error):  # which says that another process was faster
                        raise
    connection.executescript(f"{schema}; pragma user_version = {_version(schema)};")


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}


def _columns(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """The definition of each column of a table, by name."""
    return {
        name: f"{name} {kind}{' not null' if not_null else ''}{'' if default is None else f' default {default}'}"
        for _, name, kind, not_null, default, _ in connection.execute(f"pragma table_info({table})")
    }
