"""Inbox files: which exist, which are new, which are still being written, and how to open one.

A look compares names, sizes, times and inodes; it opens no file. Links are not followed, neither by a look nor when a
file is opened.

The ledger says what is new. Asking it about every file that ever lay there would make scans slower as the history
grows, so a scan can resume where the last one ended: at a `Mark`.
"""

import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from analytics_assets.foundation.batches import batched
from analytics_assets.foundation.plain_text import plain
from analytics_assets.spec.source import Source
from analytics_assets.state.ledger import Ledger, Seen


@dataclass(frozen=True)
class InboxFile:
    """A regular file below a source's inbox folder, as it was when it was looked at; `path` is relative to it."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: str

    @classmethod
    def of(cls, path: str, status: os.stat_result) -> "InboxFile":
        """The file with a given status."""
        return cls(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, str(status.st_ino))

    def seen(self, version: int) -> Seen:
        """What the ledger keeps of the file once a spec of this version has read it."""
        return Seen(self.size, self.mtime_ns, self.ctime_ns, self.inode, version)


@dataclass(frozen=True)
class Mark:
    """The time up to which the ledger knows everything in a source's folder, and what that rests on.

    Attributes:
        looked_ns: everything that changed before it has been landed or refused; nanoseconds since 1970.
        full_ns: when the last full look, at files of any time, took place.
        version: the version of the spec that read the files.
        known: the number of paths in the ledger; fewer mean that the ledger was replaced.
        clock_ns: the wall clock minus the monotonic clock. If it changed, the clock was set, and older
            times cannot be trusted.
    """

    looked_ns: int
    full_ns: int
    version: int
    known: int
    clock_ns: int = 0


FULL_LOOK_NS = 3600 * 10**9
"""How often to look at everything again: a file server's clock may differ from this machine's."""

_SLACK_NS = 2 * 10**9  # file systems round their times, to two seconds at worst
_CLOCK_WAS_SET_NS = 10**9
_PAGE = 1000


@dataclass
class Look:
    """What one look into a source's folder found.

    Attributes:
        new: files to land, oldest first.
        unsettled: files that changed a moment ago; someone may still be writing them.
        ignored: what lies there but is not a file of the source, with the reason.
        closed: folders that could not be listed, with the reason.
        mark: where the next look may begin.
    """

    new: list[InboxFile] = field(default_factory=list)
    unsettled: list[InboxFile] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)
    mark: Mark | None = None


def look(
    inbox_dir: Path,
    source: Source,
    ledger: Ledger,
    settle_seconds: float,
    since: Mark | None = None,
    limit: int | None = None,
    follow_links: bool = False,
) -> Look:
    """Compares a source's inbox folder with the ledger.

    Args:
        follow_links: whether the folder itself, `inbox/<source>`, may be a link.
        since: the mark of an earlier look; what did not change after it is skipped.
        limit: the maximum number of new files; the oldest ones are returned.
    """
    found, now_ns, known = Look(), time.time_ns(), ledger.count_paths(source)
    clock_ns = now_ns - time.monotonic_ns()
    if since and (
        since.version != source.reading
        or since.known > known
        or since.full_ns + FULL_LOOK_NS < now_ns
        or abs(since.clock_ns - clock_ns) > _CLOCK_WAS_SET_NS
    ):
        since = None
    folder, candidates = folder_of(inbox_dir, source, follow_links), []
    if folder.is_symlink():
        found.closed[f"inbox/{source.name}"] = (
            "it is a link, and nothing that it leads to lands: set ANALYTICS_FOLLOW_INBOX_LINKS, or put a folder there"
        )
    elif (inbox_dir / source.name).is_symlink() and not folder.exists():
        found.closed[f"inbox/{source.name}"] = "it is a link to what is not there"
    for path, status in _walk(folder, since.looked_ns if since else 0, found):
        if reason := _why_ignored(path, status, source):
            found.ignored[plain(path)] = reason
        else:
            candidates.append(InboxFile.of(path, status))
    candidates.sort(key=lambda file: (file.mtime_ns, file.path))
    for page in batched(candidates, _PAGE):
        seen = ledger.seen(source, [file.path for file in page])
        for file in page:
            if seen.get(file.path) == file.seen(source.reading):
                continue
            # A time in the future says nothing about when the file was written.
            is_settled = not 0 <= now_ns - file.mtime_ns < settle_seconds * 10**9
            (found.new if is_settled else found.unsettled).append(file)
        if limit is not None and len(found.new) >= limit:
            del found.new[limit:]
            break
    if found.new or found.unsettled or found.closed:
        found.mark = since  # the next look finds them again, until the ledger knows them
    else:
        full_ns = since.full_ns if since else now_ns
        found.mark = Mark(now_ns - _SLACK_NS, full_ns, source.reading, known, clock_ns)
    return found


def unexpected_files(inbox_dir: Path, sources: Iterable[Source]) -> list[str]:
    """One sentence per file or folder in the inbox that is not a source's folder."""
    names = {source.name for source in sources}
    try:
        found = sorted(entry for entry in inbox_dir.iterdir() if entry.name not in names)
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"the inbox cannot be listed ({error.strerror})"]
    return [
        f"{plain(entry.name)} in the inbox is the folder of no source; there is {', '.join(sorted(names))}"
        for entry in found
        if not entry.name.startswith(".")
    ]


def folder_of(inbox_dir: Path, source: Source, follow_links: bool) -> Path:
    """The folder of a source; if it may be a link, the folder that it leads to."""
    folder = inbox_dir / source.name
    return folder.resolve() if follow_links else folder


def unchanged(folder: Path, file: InboxFile) -> bool:
    """Whether a file below a source's folder has not changed since it was looked at."""
    try:
        return InboxFile.of(file.path, (folder / file.path).lstat()) == file
    except OSError:
        return False


class FileChanged(Exception):
    """The file under a name is no longer the one that was looked at."""


@contextmanager
def opened(folder: Path, file: InboxFile) -> Iterator[int]:
    """The descriptor of a file below a source's folder; it reads the same file even if that is renamed or replaced.

    Each part of the path is opened relative to the part before, so that none can have become a link since the look.

    Raises:
        FileChanged: the file has changed since the look.
        OSError: the file cannot be opened, or is gone.
    """
    *folders, name = PurePosixPath(file.path).parts
    steps = [*((part, os.O_DIRECTORY) for part in folders), (name, os.O_NONBLOCK)]  # a pipe would wait for its writer
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for part, kind in steps:
            outer = descriptor
            try:
                descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | kind, dir_fd=outer)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO):
                    raise FileChanged(file.path) from error
                raise
            os.close(outer)
        if InboxFile.of(file.path, os.fstat(descriptor)) != file:
            raise FileChanged(file.path)
        yield descriptor
    finally:
        os.close(descriptor)


def _walk(folder: Path, since_ns: int, found: Look) -> Iterator[tuple[str, os.stat_result]]:
    """Everything but folders that changed below a folder, by relative path; follows no links.

    A file or folder that is moved in keeps its own times on some file systems, and the content of a moved folder keeps
    them on all; but the folder that receives it changes. So everything below a changed folder may be new; below an
    unchanged one, only what was rewritten in place.

    Args:
        found: receives the folders that could not be listed.
    """
    waiting = [] if folder.is_symlink() else [(folder, False)]
    while waiting:
        here, is_new = waiting.pop()
        try:
            is_new = is_new or here.stat().st_ctime_ns >= since_ns
            for entry in list(os.scandir(here)):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((Path(entry.path), is_new))
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # taken away since the folder was listed
                if is_new or status.st_ctime_ns >= since_ns:
                    yield Path(entry.path).relative_to(folder).as_posix(), status
        except FileNotFoundError:
            continue
        except OSError as error:
            name = f"inbox/{folder.name}" if here == folder else plain(here.relative_to(folder).as_posix())
            found.closed[name] = f"the folder cannot be listed ({error.strerror}); what lies in it does not land"


def _why_ignored(path: str, status: os.stat_result, source: Source) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "no regular file; links are not followed"
    if not path.isprintable():  # also lone surrogates: a name that is not UTF-8
        return "its name holds characters that cannot be printed; rename it"
    if not source.matches(path):
        return f"its name matches none of {', '.join(source.patterns)}"
    return None
