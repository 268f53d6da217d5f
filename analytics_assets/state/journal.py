"""The journal of a source: a second copy of what was written to the ledger, beside the landed pieces.

The ledger is one file for all sources, and without it nothing tells which pieces are current. So each of its writes is
also a line of `landed/<source>/journal.jsonl`, from which the ledger can be rebuilt. Only lines and their checksums
belong here; the ledger knows what they mean.
"""

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from analytics_assets.foundation.files import Damaged, replacing

Entry = Mapping[str, Any]
"""What one write put into the ledger, as a JSON object."""

_NAME = "journal.jsonl"


class Journal:
    """The journal of one source; its writer must hold the lock of the source's landing."""

    def __init__(self, landed_dir: Path, source: str) -> None:
        self.file = landed_dir / source / _NAME

    def size(self) -> int:
        """The size of the file in bytes; 0 if there is none."""
        try:
            return self.file.stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, line: bytes) -> None:
        """Adds lines, and waits until they are on the disk."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def replace(self, lines: Iterable[bytes]) -> None:
        """Replaces the whole file."""
        with replacing(self.file) as temporary:
            temporary.write_bytes(b"".join(lines))

    def read(self) -> list[Entry]:
        """All entries, oldest first. A last line that a kill cut off is left out: only the ledger had that entry.

        Raises:
            Damaged: another line does not match its checksum.
        """
        lines = self.file.read_bytes().split(b"\n")[:-1] if self.file.exists() else []
        found = []
        for number, line in enumerate(lines, start=1):
            checksum, _, text = line.partition(b" ")
            if checksum != _checksum(text):
                raise Damaged(f"{self.file} is damaged in line {number}: restore it from a backup")
            found.append(json.loads(text))
        return found


def line_of(entry: Entry) -> bytes:
    """An entry as a line."""
    text = json.dumps(entry, separators=(",", ":")).encode()
    return _checksum(text) + b" " + text + b"\n"


def _checksum(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)


def sizes(landed_dir: Path) -> dict[str, int]:
    """The size of each journal in bytes, by source; 0 for a source that has a landed folder but no journal."""
    try:
        with os.scandir(landed_dir) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return {}
    return {name: Journal(landed_dir, name).size() for name in names}
