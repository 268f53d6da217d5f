"""The journal of a source: what was written to the ledger, once more, beside the landed pieces that it is about.

The ledger is one file for all sources, and without it no piece says whether it is current. So each of its writes is
also a line of `landed/<source>/journal.jsonl`, from which it can be made again. Only lines and their checksums belong
here; what they mean, the ledger knows.
"""

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from analytics_assets.foundation.files import Damaged, replacing

Entry = Mapping[str, Any]
"""What one write put into the ledger, as JSON has it."""

_NAME = "journal.jsonl"


class Journal:
    """The journal of one source; who writes it holds the lock of the source's landing."""

    def __init__(self, landed_dir: Path, source: str) -> None:
        self.file = landed_dir / source / _NAME

    def size(self) -> int:
        """Bytes of the file; 0 where there is none."""
        try:
            return self.file.stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, line: bytes) -> None:
        """Adds a line, and waits until it is on the disk."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def replace(self, lines: Iterable[bytes]) -> None:
        """Writes the file anew."""
        with replacing(self.file) as temporary:
            temporary.write_bytes(b"".join(lines))

    def read(self) -> list[Entry]:
        """All entries, oldest first. A last line that a kill cut off is left out: the ledger had it, and it is lost.

        Raises:
            Damaged: another line is not what was written.
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
    """The bytes of each journal, by its source; 0 for a source that has landed pieces, or began to, and no journal."""
    try:
        with os.scandir(landed_dir) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return {}
    return {name: Journal(landed_dir, name).size() for name in names}
