"""Files that are whole or not there: atomic writes, locks between processes, and the small SQLite stores."""

import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Hands out a temporary path beside `target`, which replaces it once the block ends without an error.

    A kill at any moment leaves the old file or the new one, and at most a hidden `.tmp` file that nothing reads. Its
    name holds the process, so that two that write the same target do not write into one file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Removes what writers that were killed left in a folder; only under the lock that its writers hold."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


@contextmanager
def only_one(lock_file: Path) -> Iterator[None]:
    """Lets one process at a time through; the others wait. The system frees the lock when its holder is killed."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_file):
        yield


@contextmanager
def open_sqlite(path: Path, schema: str) -> Iterator[sqlite3.Connection]:
    """A connection in autocommit mode to a store with the tables of `schema`, which makes only what is lacking.

    A table of an earlier version gets the columns that it lacks; those need a default.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    version = zlib.crc32(schema.encode()) & 0x7FFFFFFF
    try:
        if connection.execute("pragma user_version").fetchone()[0] != version:
            columns = "".join(f"{sentence};" for sentence in _columns_to_add(connection, schema))
            connection.executescript(f"pragma journal_mode = wal; {columns} {schema}; pragma user_version = {version};")
        connection.execute("pragma synchronous = full")
        yield connection
    finally:
        connection.close()


def _columns_to_add(connection: sqlite3.Connection, schema: str) -> Iterator[str]:
    """The statements that add what the tables of a store lack."""
    columns = 'select name, type, "notnull", dflt_value from pragma_table_info(?)'
    wanted = sqlite3.connect(":memory:")
    try:
        wanted.executescript(schema)
        for (table,) in wanted.execute("select name from sqlite_master where type = 'table'").fetchall():
            held = {name for name, *_ in connection.execute(columns, (table,))}
            for name, kind, is_required, default in wanted.execute(columns, (table,)):
                if held and name not in held:
                    constraint = f" not null default {default}" if is_required else ""
                    yield f"alter table {table} add column {name} {kind}{constraint}"
    finally:
        wanted.close()
