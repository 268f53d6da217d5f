"""Which records of an API have landed, so that a pull drops only new ones: unchanged days then stay up to date.

A record is identified by the hash of the bytes that were sent. It counts as known while the file that it was dropped in
is landed and current, and was read by the spec's current version. A record that was removed from the inbox before it
landed, or replaced there, is written to the inbox again by the next pull.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from msgspec import Raw
from sqlalchemy import Column, LargeBinary, MetaData, Table, Text, select

from analytics_assets.foundation.batches import batched
from analytics_assets.foundation.files import Damaged
from analytics_assets.foundation.plain_text import logger_of
from analytics_assets.spec.source import Source
from analytics_assets.state.database import AT_ONCE, Store, insert, tuples
from analytics_assets.state.ledger import Ledger

TABLES = MetaData()
_RECORDS = Table(
    "records",
    TABLES,
    Column("hash", LargeBinary, primary_key=True),
    Column("content", Text, primary_key=True, comment="the identity, in the ledger, of a file that holds it"),
    sqlite_with_rowid=False,
)

_IF_DAMAGED = "delete it; what the API holds is then dropped once more"

logger = logger_of(__name__)


class KnownRecords:
    """The records of a source that had landed when this was made; a damaged store is deleted and begins empty."""

    def __init__(self, file: Path, source: Source, ledger: Ledger) -> None:
        self._store, self._source = Store(file, TABLES, _IF_DAMAGED), source
        self._delete_if_damaged()
        identities = ledger.current_identities(source)
        self._landed = {identity for identity in identities if identity.endswith(f":v{source.reading}")}

    def new(self, records: Sequence[Raw]) -> list[Raw]:
        """The records among some that have not landed."""
        hashes = [_hash(record) for record in records]
        known: set[bytes] = set()
        with self._store.reading() as connection:
            for some in batched(hashes, AT_ONCE):
                found = tuples(connection.execute(select(_RECORDS).where(_RECORDS.c.hash.in_(some))))
                known.update(hash_ for hash_, content in found if content in self._landed)
        return [record for record, hash_ in zip(records, hashes, strict=True) if hash_ not in known]

    def remember(self, dropped: Path, path: str, before: bytes, after: bytes) -> None:
        """Stores the records of a file that is being dropped: in each line, the bytes between two texts.

        Args:
            path: where the file will be, below the source's inbox folder.
        """
        added = insert(_RECORDS).on_conflict_do_nothing()
        with dropped.open("rb") as file, self._store.writing() as connection:
            content = self._source.identity(path, hashlib.file_digest(file, "sha256").hexdigest())
            file.seek(0)
            for lines in batched(file, AT_ONCE):
                hashes = [_hash(line.partition(before)[2].removesuffix(after)) for line in lines]
                connection.execute(added, [{"hash": hash_, "content": content} for hash_ in hashes])

    def _delete_if_damaged(self) -> None:
        try:
            with self._store.writing():
                pass
        except Damaged:
            file = self._store.file
            logger.warning(f"{file} was damaged, and begins anew: what the API holds is dropped once more")
            for part in file.parent.glob(f"{file.name}*"):
                part.unlink()


def _hash(record: Raw | bytes) -> bytes:
    return hashlib.blake2b(record, digest_size=16).digest()
