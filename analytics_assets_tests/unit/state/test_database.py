"""The version of a store: whoever kept what he read of it knows by that whether it still holds."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics_assets.state.database import open_sqlite, version_of_store

SCHEMA = "create table if not exists numbers (n integer)"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "numbers.sqlite"


def write(store: Path, n: int) -> None:
    with open_sqlite(store, SCHEMA, "delete it") as connection:
        connection.execute("insert into numbers values (?)", (n,))


def versions(store: Path, changes: Iterator[object]) -> list[tuple[object, ...]]:
    """The version before all changes, and after each."""
    return [version_of_store(store), *(version_of_store(store) for _ in changes)]


def test_each_change_gives_a_store_another_version(store: Path) -> None:
    found = versions(store, (write(store, n) for n in range(100)))
    assert len(set(found)) == 101


def test_each_change_does_while_others_read(store: Path) -> None:
    """The log then stays, is begun anew by checkpoints, and keeps its size."""
    write(store, 0)
    reader = sqlite3.connect(store)

    def change(n: int) -> None:
        with open_sqlite(store, SCHEMA, "delete it") as connection:
            connection.execute("update numbers set n = ?", (n + 1,))
            if n % 7 == 0:
                connection.execute("pragma wal_checkpoint(restart)")

    found = versions(store, (change(n) for n in range(100)))
    assert len(set(found)) == 101
    reader.close()


def test_reading_does_not_change_it(store: Path) -> None:
    write(store, 1)

    def read() -> None:
        with open_sqlite(store, SCHEMA, "delete it", writes=False) as connection:
            assert connection.execute("select count(*) from numbers").fetchone() == (1,)

    before = version_of_store(store)
    read()
    assert version_of_store(store) == before


def test_a_store_that_is_gone_or_was_put_back_has_another_version(store: Path, tmp_path: Path) -> None:
    write(store, 1)
    before = version_of_store(store)
    shutil.copy2(store, tmp_path / "copy")
    store.unlink()
    gone = version_of_store(store)
    (tmp_path / "copy").rename(store)
    assert len({before, gone, version_of_store(store)}) == 3
