"""Files that are whole or not there: atomic writes, and locks between processes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


class Damaged(Exception):
    """A file of the project's own state is not what it should be; the message names it and says what to do."""


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
