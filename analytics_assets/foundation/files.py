"""Atomic writes, so that a file is whole or absent; and locks between processes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


class Damaged(Exception):
    """A file of the project's own state is damaged or missing; the message names it and says what to do."""


_BESIDE = (".wal", "-wal", "-shm")
"""Endings of what DuckDB and SQLite write beside a database, and apply to whatever has the database's name next."""


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yields a temporary path beside `target`; the file there replaces `target` once the block ends without an error.

    A kill at any moment leaves the old file or the new one, and at most a hidden `.tmp` file that nothing reads. Its
    name holds the process id, so that two processes never write into one temporary file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    for ending in ("", *_BESIDE):  # a killed process that had the same id may have left them
        temporary.with_name(temporary.name + ending).unlink(missing_ok=True)
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
    """Removes what killed writers left in a folder; call it only while holding its writers' lock."""
    for ending in ("", *_BESIDE):
        for leftover in folder.glob(f".*.tmp{ending}"):
            leftover.unlink(missing_ok=True)


@contextmanager
def only_one(lock_file: Path) -> Iterator[None]:
    """Lets one process in at a time; the others wait. The system frees the lock when its holder is killed."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_file):
        yield
