"""The version of a store: whoever kept what he read of it knows by that whether it still holds."""

import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, delete, func, select, update

from analytics_assets.foundation.files import Damaged
from analytics_assets.state import database
from analytics_assets.state.database import Store, insert

TABLES = MetaData()
NUMBERS = Table("numbers", TABLES, Column("n", Integer))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "numbers.sqlite", TABLES, "delete it")


def write(store: Store, n: int) -> None:
    with store.writing() as connection:
        connection.execute(insert(NUMBERS), {"n": n})


def numbers(store: Store) -> list[int]:
    with store.reading() as connection:
        return [row.n for row in connection.execute(select(NUMBERS).order_by(NUMBERS.c.n))]


def versions(store: Store, changes: Iterator[object]) -> list[tuple[object, ...]]:
    """The version before all changes, and after each."""
    return [store.version(), *(store.version() for _ in changes)]


def test_each_change_gives_a_store_another_version(store: Store) -> None:
    found = versions(store, (write(store, n) for n in range(100)))
    assert len(set(found)) == 101


def test_each_change_does_while_others_read(store: Store) -> None:
    """The log then stays, is begun anew by checkpoints, and keeps its size."""
    write(store, 0)
    reader = sqlite3.connect(store.file)

    def change(n: int) -> None:
        with store.writing() as connection:
            connection.execute(update(NUMBERS).values(n=n + 1))
        if n % 7 == 0:
            other = sqlite3.connect(store.file)
            other.execute("pragma wal_checkpoint(restart)")
            other.close()

    found = versions(store, (change(n) for n in range(100)))
    assert len(set(found)) == 101
    reader.close()


def test_reading_does_not_change_it(store: Store) -> None:
    write(store, 1)
    before = store.version()
    assert numbers(store) == [1]
    assert store.version() == before


def test_a_store_that_is_gone_or_was_put_back_has_another_version(store: Store, tmp_path: Path) -> None:
    write(store, 1)
    before = store.version()
    shutil.copy2(store.file, tmp_path / "copy")
    store.file.unlink()
    gone = store.version()
    (tmp_path / "copy").rename(store.file)
    assert len({before, gone, store.version()}) == 3


def test_a_block_is_written_whole_or_not_at_all(store: Store) -> None:
    write(store, 1)
    with pytest.raises(KeyboardInterrupt), store.writing() as connection:
        connection.execute(delete(NUMBERS))
        raise KeyboardInterrupt
    assert numbers(store) == [1]


def test_a_block_that_reads_sees_one_state(store: Store) -> None:
    write(store, 1)
    count = select(func.count()).select_from(NUMBERS)
    with store.reading() as connection:
        before = connection.scalar(count)
        write(store, 2)
        assert (before, connection.scalar(count)) == (1, 1)
    assert numbers(store) == [1, 2]


def test_writers_wait_for_each_other_also_for_the_first(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: write(store, n), range(40)))
    assert numbers(store) == list(range(40))


def test_a_store_without_a_file_is_empty_and_reading_makes_none(store: Store) -> None:
    assert numbers(store) == []
    assert not store.file.exists()


def test_a_store_of_an_older_schema_gets_what_it_lacks_and_is_read_where_nobody_may_write(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, 1)
    newer = MetaData()
    table = Table("numbers", newer, Column("n", Integer), Column("unit", Text, nullable=False, server_default="m"))
    other = Table("others", newer, Column("n", Integer, primary_key=True))
    of_newer = Store(store.file, newer, "delete it")
    for may_write in (False, False, True, True):
        monkeypatch.setattr(database, "_may_write", lambda path, may=may_write: may)
        with of_newer.reading() as connection:
            assert connection.execute(select(table)).tuples().all() == [(1, "m")]
            assert connection.execute(select(other)).all() == []
    assert numbers(store) == [1]
    with of_newer.writing() as connection:
        connection.execute(insert(table), {"n": 2, "unit": "km"})
    with of_newer.reading() as connection:
        assert connection.execute(select(table)).tuples().all() == [(1, "m"), (2, "km")]


@pytest.mark.parametrize("content", [b"no database at all, however long it is" * 9, b"SQLite format 3\0" + b"x" * 99])
def test_what_is_no_store_is_named_with_what_to_do(store: Store, content: bytes) -> None:
    store.file.write_bytes(content)
    with pytest.raises(Damaged, match=r"numbers\.sqlite is damaged \(.*\): delete it"):
        numbers(store)
    with pytest.raises(Damaged, match=r"numbers\.sqlite is damaged \(.*\): delete it"):
        write(store, 1)


def test_a_store_of_something_else_is_no_store(store: Store) -> None:
    foreign = sqlite3.connect(store.file)
    foreign.execute("create table others (n integer)")
    foreign.close()
    with pytest.raises(Damaged, match=r"no such table: numbers"):
        numbers(store)


def test_a_store_that_cannot_be_written_is_named(store: Store) -> None:
    store.file.parent.joinpath("numbers.sqlite").mkdir()
    with pytest.raises(Damaged, match=r"numbers\.sqlite is no file"):
        write(store, 1)


def test_bits_that_flipped_in_an_index_are_found(store: Store) -> None:
    indexed = MetaData()
    table = Table("numbers", indexed, Column("n", Integer, index=True))
    of_numbers = Store(store.file, indexed, "delete it")
    with of_numbers.writing() as connection:
        connection.execute(insert(table), [{"n": n} for n in range(5000)])
    of_numbers.put_into_one_file()
    of_numbers.require_whole()
    content = bytearray(store.file.read_bytes())
    content[-4096 + 3000] ^= 0xFF  # the last page is one of the index
    store.file.write_bytes(content)
    with pytest.raises(Damaged, match="delete it"):
        of_numbers.require_whole()
