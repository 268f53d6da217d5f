"""Which records of an API have landed, so that a pull drops only new ones: unchanged days then stay up to date.

A record is identified by the hash of the bytes that were sent. It counts as known while the file that it was dropped in
is landed and current, and was read by the spec's current version. A record that was removed from the inbox before it
landed, or replaced there, is dropped again when it is pulled again.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from msgspec import Raw

from analytics_assets.foundation.files import Damaged
from analytics_assets.foundation.plain_text import logger_of
from analytics_assets.spec.source import Source
from analytics_assets.state.database import open_sqlite
from analytics_assets.state.ledger import Ledger

_SCHEMA = """
create table if not exists records (
    hash blob not null,
    content text not null,  -- the identity, in the ledger, of a file that holds it
    primary key (hash, content)
) without rowid
"""

_IF_DAMAGED = "delete it; what the API holds is then dropped once more"

_AT_ONCE = 10_000  # below SQLite's limit of values per statement

logger = logger_of(__name__)


class KnownRecords:
    """The records of a source that had landed when the store was opened."""

    def __init__(self, connection: sqlite3.Connection, source: Source) -> None:
        self._connection, self._source = connection, source

    @classmethod
    @contextmanager
    def opened(cls, file: Path, source: Source, ledger: Ledger) -> Iterator["KnownRecords"]:
        """Opens a store for the duration of the block; a damaged one is deleted and begins empty."""
        _see_that_it_is_whole(file)
        with open_sqlite(file, _SCHEMA, _IF_DAMAGED) as connection:
            connection.execute("create temp table landed (content text primary key) without rowid")
            identities = sorted(ledger.current_identities(source))
            as_now = [(identity,) for identity in identities if identity.endswith(f":v{source.version}")]
            connection.executemany("insert into landed values (?)", as_now)
            yield cls(connection, source)

    def new(self, records: Sequence[Raw]) -> list[Raw]:
        """The records among some that have not landed."""
        hashes = [_hash(record) for record in records]
        known: set[bytes] = set()
        for start in range(0, len(hashes), _AT_ONCE):
            some = hashes[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(some))
            sql = f"select distinct hash from records inner join landed using (content) where hash in ({marks})"
            known.update(row[0] for row in self._connection.execute(sql, some))
        return [record for record, hash_ in zip(records, hashes, strict=True) if hash_ not in known]

    def remember(self, dropped: Path, before: bytes, after: bytes) -> None:
        """Stores the records of a file that is being dropped: in each line, the bytes between two texts."""
        with dropped.open("rb") as file:
            content = f"{hashlib.file_digest(file, 'sha256').hexdigest()}:v{self._source.version}"
            file.seek(0)
            lines = iter(file)
            self._connection.execute("begin immediate")
            while some := list(islice(lines, _AT_ONCE)):
                self._connection.executemany(
                    "insert or ignore into records values (?, ?)",
                    [(_hash(line.partition(before)[2].removesuffix(after)), content) for line in some],
                )
            self._connection.execute("commit")


def _see_that_it_is_whole(file: Path) -> None:
    try:
        with open_sqlite(file, _SCHEMA, _IF_DAMAGED):
            pass
    except Damaged:
        logger.warning(f"{file} was damaged, and begins anew: what the API holds is dropped once more")
        for part in file.parent.glob(f"{file.name}*"):
            part.unlink()


def _hash(record: Raw | bytes) -> bytes:
    return hashlib.blake2b(record, digest_size=16).digest()
