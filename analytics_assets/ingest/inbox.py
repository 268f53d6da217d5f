"""What lies in the inbox: which files are there, which are new, which are still being written.

Only names, sizes and times are looked at here; nothing is opened and no link is followed.
"""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from analytics_assets.ingest.ledger import Ledger, Seen
from analytics_assets.ingest.source import Source


@dataclass(frozen=True)
class InboxFile:
    """A regular file below a source's inbox folder; `path` is relative to it."""

    path: str
    size: int
    mtime_ns: int


@dataclass
class Look:
    """What one look into a source's folder found.

    Attributes:
        new: files to land, oldest first.
        unsettled: files that changed a moment ago and may still be being written.
        ignored: what lies there and is no file of the source, with the reason.
    """

    new: list[InboxFile] = field(default_factory=list)
    unsettled: list[InboxFile] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)


def look(inbox_dir: Path, source: Source, ledger: Ledger, settle_seconds: float) -> Look:
    """Compares a source's inbox folder with the ledger."""
    found, seen, now = Look(), ledger.seen(source), time.time()
    for path, status in _walk(inbox_dir / source.name):
        if reason := _why_ignored(path, status, source):
            found.ignored[path.encode("utf-8", "backslashreplace").decode()] = reason
            continue
        if seen.get(path) == Seen(status.st_size, status.st_mtime_ns, source.version):
            continue
        file = InboxFile(path, status.st_size, status.st_mtime_ns)
        # A time in the future says nothing about when the file was written.
        is_settled = not 0 <= now - status.st_mtime < settle_seconds
        (found.new if is_settled else found.unsettled).append(file)
    found.new.sort(key=lambda file: (file.mtime_ns, file.path))
    return found


def unchanged(inbox_dir: Path, source: Source, file: InboxFile) -> bool:
    """Whether a file is still the one that was looked at."""
    try:
        status = (inbox_dir / source.name / file.path).lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and (status.st_size, status.st_mtime_ns) == (file.size, file.mtime_ns)


def _walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below a folder but folders, by its path relative to it, without following links."""
    if folder.is_symlink():
        return
    waiting = [folder]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except FileNotFoundError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            else:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # taken away since the folder was listed
                yield Path(entry.path).relative_to(folder).as_posix(), status


def _why_ignored(path: str, status: os.stat_result, source: Source) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "no regular file; links are not followed"
    if not path.isprintable():  # lone surrogates, too: a name that is no UTF-8
        return "its name holds characters that cannot be printed; rename it"
    if not source.matches(path):
        return f"its name matches none of {', '.join(source.patterns)}"
    return None
