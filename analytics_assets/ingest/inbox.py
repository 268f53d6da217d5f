"""What lies in the inbox: which files are there, which are new, which are still being written.

Only names, sizes and times are looked at here; nothing is opened and no link is followed.

The ledger says what is new. Asking it about every file that ever lay there would make each look as dear as the history
is long, so a look can begin where the last one ended: at a `Mark`.
"""

import os
import stat
import time
from collections.abc import Iterable, Iterator
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


@dataclass(frozen=True)
class Mark:
    """Until when everything in a source's folder is known to the ledger, and what that rests on.

    Attributes:
        looked_ns: whatever changed before it has been landed or refused; nanoseconds since 1970.
        full_ns: when everything was last looked at, whatever its time.
        version: of the spec that the files were read by.
        known: paths in the ledger; fewer than that means that it is another ledger.
    """

    looked_ns: int
    full_ns: int
    version: int
    known: int


FULL_LOOK_NS = 3600 * 10**9
"""So often everything is looked at again: the clock of a file server may be another than ours."""

_SLACK_NS = 2 * 10**9  # file systems round their times, to two seconds at worst
_PAGE = 1000


@dataclass
class Look:
    """What one look into a source's folder found.

    Attributes:
        new: files to land, oldest first.
        unsettled: files that changed a moment ago and may still be being written.
        ignored: what lies there and is no file of the source, with the reason.
        mark: where the next look may begin.
    """

    new: list[InboxFile] = field(default_factory=list)
    unsettled: list[InboxFile] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    mark: Mark | None = None


def look(
    inbox_dir: Path,
    source: Source,
    ledger: Ledger,
    settle_seconds: float,
    since: Mark | None = None,
    limit: int | None = None,
) -> Look:
    """Compares a source's inbox folder with the ledger.

    Args:
        since: the mark of an earlier look; what did not change after it is passed over.
        limit: stop once so many new files are found, the oldest ones.
    """
    found, now_ns, known = Look(), time.time_ns(), ledger.count_paths(source)
    if since and (since.version != source.version or since.known > known or since.full_ns + FULL_LOOK_NS < now_ns):
        since = None
    candidates = []
    for path, status in _walk(inbox_dir / source.name, since.looked_ns if since else 0):
        if reason := _why_ignored(path, status, source):
            found.ignored[path.encode("utf-8", "backslashreplace").decode()] = reason
        else:
            candidates.append(InboxFile(path, status.st_size, status.st_mtime_ns))
    candidates.sort(key=lambda file: (file.mtime_ns, file.path))
    for page in batched(candidates, _PAGE):
        seen = ledger.seen(source, [file.path for file in page])
        for file in page:
            if seen.get(file.path) == Seen(file.size, file.mtime_ns, source.version):
                continue
            # A time in the future says nothing about when the file was written.
            is_settled = not 0 <= now_ns - file.mtime_ns < settle_seconds * 10**9
            (found.new if is_settled else found.unsettled).append(file)
        if limit is not None and len(found.new) >= limit:
            del found.new[limit:]
            break
    if found.new or found.unsettled:
        found.mark = since  # they are looked at until they are in the ledger
    else:
        full_ns = since.full_ns if since else now_ns
        found.mark = Mark(now_ns - _SLACK_NS, full_ns, source.version, known)
    return found


def batched(files: list[InboxFile], size: int) -> Iterator[list[InboxFile]]:
    """Consecutive parts of a list."""
    for start in range(0, len(files), size):
        yield files[start : start + size]


def strangers(inbox_dir: Path, sources: Iterable[Source]) -> list[str]:
    """A sentence for each thing in the inbox that is in the folder of no source."""
    names = {source.name for source in sources}
    found = sorted(entry for entry in inbox_dir.iterdir() if entry.name not in names) if inbox_dir.is_dir() else []
    return [
        f"{entry.name} in the inbox is the folder of no source; there is {', '.join(sorted(names))}"
        for entry in found
        if not entry.name.startswith(".")
    ]


def unchanged(inbox_dir: Path, source: Source, file: InboxFile) -> bool:
    """Whether a file is still the one that was looked at."""
    try:
        status = (inbox_dir / source.name / file.path).lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and (status.st_size, status.st_mtime_ns) == (file.size, file.mtime_ns)


def _walk(folder: Path, since_ns: int) -> Iterator[tuple[str, os.stat_result]]:
    """What changed below a folder, but folders, by its path relative to it, without following links.

    A file that is moved in keeps its own times on some file systems, but the folder's change. So everything in a folder
    that changed may be new, and in one that did not, what was rewritten in its place.
    """
    if folder.is_symlink():
        return
    waiting = [(folder, False)]
    while waiting:
        here, is_new = waiting.pop()
        try:
            is_new = is_new or here.stat().st_mtime_ns >= since_ns
            entries = list(os.scandir(here))
        except FileNotFoundError:
            continue
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((Path(entry.path), entry.stat().st_ctime_ns >= since_ns))
                    continue
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # taken away since the folder was listed
            if is_new or status.st_ctime_ns >= since_ns:
                yield Path(entry.path).relative_to(folder).as_posix(), status


def _why_ignored(path: str, status: os.stat_result, source: Source) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "no regular file; links are not followed"
    if not path.isprintable():  # lone surrogates, too: a name that is no UTF-8
        return "its name holds characters that cannot be printed; rename it"
    if not source.matches(path):
        return f"its name matches none of {', '.join(source.patterns)}"
    return None
