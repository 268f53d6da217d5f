"""Landing: each file's bytes become immutable Parquet pieces by day, once, and its bad rows go to the rejects.

The order of the writes makes a kill harmless: pieces, rejects, the ledger transaction that makes them count, and last
the journal entry. Whatever a kill leaves before that transaction is never read.
"""

import hashlib
import io
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path, PurePosixPath

import polars as pl

from analytics_assets.foundation.failures import is_transient
from analytics_assets.foundation.files import only_one, replacing
from analytics_assets.foundation.plain_text import logger_of
from analytics_assets.ingest.formats import read_batches
from analytics_assets.ingest.inbox import FileChanged, InboxFile, Look, Mark, folder_of, look, opened, unchanged
from analytics_assets.ingest.parse import empty_landed, parse_batch
from analytics_assets.ingest.records import UnreadableFile
from analytics_assets.ingest.repeats import with_repeat
from analytics_assets.settings import Settings
from analytics_assets.spec.source import UNDATED, Kind, Source
from analytics_assets.state.ledger import Content, Ledger, Piece, is_leftover, unfinished_mark

logger = logger_of(__name__)

_MOST_FINDINGS = 1_000  # maximum unknown columns, and rejects of several lines, reported per file


@dataclass
class LandingReport:
    """What one landing run did.

    Attributes:
        landed: contents that were new, by path.
        known: paths whose bytes had landed before, under this name or another.
        unreadable: paths that could not be read, with the reason.
        closed: folders that could not be listed, with the reason.
        unsettled: paths that were left alone because someone may still be writing them.
        ignored: what lies in the folder but is not a file of the source, with the reason.
        remaining: new files that are left for the next run.
    """

    landed: dict[str, Content] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    unsettled: list[str] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)
    remaining: int = 0


class Landing:
    """Lands the files of one source."""

    def __init__(self, settings: Settings, source: Source) -> None:
        self._settings = settings
        self._source = source
        self._ledger = Ledger(settings.lake_dir)
        self._folder = folder_of(settings.inbox_dir, source, settings.follow_inbox_links)
        self._leftovers = False  # whether pieces may exist of a file that was not landed after all

    def look(self, since: Mark | None = None, limit: int | None = None) -> Look:
        """What lies in the inbox, or has arrived since a mark."""
        settings = self._settings
        return look(
            settings.inbox_dir,
            self._source,
            self._ledger,
            settings.inbox_settle_seconds,
            since,
            limit,
            settings.follow_inbox_links,
        )

    def run(self) -> LandingReport:
        """Lands the oldest new files, at most `landing_files_per_run` of them; logs one sentence per file."""
        lake_dir, name = self._settings.lake_dir, self._source.name
        unfinished = unfinished_mark(lake_dir, name)
        with only_one(lake_dir / f".landing-{name}.lock"):
            if unfinished.exists():
                self._sweep()
            unfinished.touch()
            self._leftovers = False
            seen = self.look()
            report = LandingReport(unsettled=[f.path for f in seen.unsettled], ignored=seen.ignored, closed=seen.closed)
            suspects = self._suspects()
            seen.new.sort(key=lambda file: suspects.tries(file) > 0)  # files that ended a process come last
            taken = seen.new[: self._settings.landing_files_per_run]
            report.remaining = len(seen.new) - len(taken)
            for file in taken:
                with suspects.reading(file) as may_be_read:
                    self._land(file, report, may_be_read)
            if not self._leftovers:
                unfinished.unlink()
            return report

    def _sweep(self) -> None:
        """Removes what landing wrote before it was killed: pieces and rejects that the ledger does not know."""
        mark = unfinished_mark(self._settings.lake_dir, self._source.name)
        identities, names = self._ledger.identities_and_pieces(self._source)
        rejects = {_rejects_name(identity) for identity in identities}
        unknown = [
            file for file in (self._settings.landed_dir / self._source.name).glob("*/*") if file.stem not in names
        ]
        unknown += [
            file
            for file in (self._settings.rejects_dir / self._source.name).glob("*")
            if file.stem.rpartition("-")[0] not in rejects
        ]
        for file in unknown:
            if is_leftover(file, mark):
                file.unlink(missing_ok=True)

    def _suspects(self) -> "_Suspects":
        return _Suspects(self._settings.lake_dir / f".landing-{self._source.name}.reading")

    def _land(self, file: InboxFile, report: LandingReport, may_be_read: bool) -> None:
        source, ledger = self._source, self._ledger
        seen = file.seen(source.version)
        name = f"{source.name}/{file.path}"
        try:
            if not may_be_read:
                raise UnreadableFile(_ENDS_PROCESSES)
            with _under_a_plain_name(self._folder, file) as plain:
                with plain.open("rb") as bytes_:
                    digest = hashlib.file_digest(bytes_, "sha256").hexdigest()
                identity = source.identity(file.path, digest)
                is_known = ledger.has_content(source, identity)
                content = None if is_known else self._read(plain, file.path, digest, identity)
        except (UnreadableFile, ValueError) as error:
            self._leftovers = True
            if unchanged(self._folder, file):
                ledger.refuse(source, file.path, seen, str(error))
                report.unreadable[file.path] = str(error)
                logger.warning(f"{name} cannot be read: {error}")
            else:
                report.unsettled.append(file.path)
            return
        except FileNotFoundError:
            return  # removed before it could be opened
        except FileChanged:
            report.unsettled.append(file.path)
            return
        if not unchanged(self._folder, file):
            self._leftovers = True
            report.unsettled.append(file.path)
            return
        if content is None:
            ledger.point(source, file.path, seen, identity)
            report.known.append(file.path)
            logger.info(f"{name}: its bytes were landed before")
        else:
            ledger.add(source, content, seen)
            report.landed[file.path] = content
            logger.info(f"{name}: {content.accepted_rows:,} rows, {content.rejected_rows:,} rejected")

    def _day_of_file(self, path: str, digest: str, landed_at: datetime) -> date | None:
        """The day of all rows of a file; None if each has its own."""
        source = self._source
        if source.time is not None:
            return None
        day = source.day_in_path(path)
        if source.kind is Kind.DELIVERY and day == UNDATED:
            return (self._ledger.first_landed(source, digest) or landed_at).date()
        return day

    def _read(self, plain: Path, path: str, digest: str, identity: str) -> Content:
        source = self._source
        landed_at = datetime.now(UTC).replace(tzinfo=None)
        content = Content(identity, path, digest, landed_at)
        day = self._day_of_file(path, digest, landed_at)
        limit = self._settings.landing_buffer_mb * 1_000_000
        rows, rejects = _Buffer(limit), _Buffer(limit)
        rejects_name, parts = _rejects_name(identity), 0
        rejected: Counter[object] = Counter()
        unknown: set[str] = set()

        def write_rejects(frame: pl.DataFrame) -> None:
            nonlocal parts
            with replacing(self._settings.rejects_dir / source.name / f"{rejects_name}-{parts}.parquet") as target:
                frame.write_parquet(target)
            parts += 1

        for batch in read_batches(plain, source):
            unknown |= batch.unknown | (set(batch.frame.columns) - set(source.columns))
            parsed = parse_batch(batch, source, path, landed_at)
            accepted = parsed.accepted
            if day is not None:
                accepted = accepted.with_columns(_day=pl.lit(day))
            if full := rows.add(accepted):
                content.pieces.extend(self._write_pieces(full, content.pieces))
            rejected.update(dict(parsed.rejected.group_by("day").agg(pl.col("lines").sum()).iter_rows()))
            long = {broken.row: broken.lines for broken in batch.broken if broken.lines > 1}
            content.swallowed.update(islice(long.items(), _MOST_FINDINGS - len(content.swallowed)))
            if full := rejects.add(parsed.rejected):
                write_rejects(pl.concat(full))
        if rest := rows.take():
            content.pieces.extend(self._write_pieces(rest, content.pieces))
        if not content.pieces and source.kind is Kind.SNAPSHOT and day is not None:
            content.pieces.append(self._write_piece(day, empty_landed(source)))  # a fact: nothing exists on its day
        if rest := rejects.take():
            write_rejects(pl.concat(rest))
        content.unknown_columns = sorted(unknown)[:_MOST_FINDINGS]
        content.rejected = dict(rejected)  # type: ignore[arg-type]
        return content

    def _write_pieces(self, frames: list[pl.DataFrame], before: list[Piece]) -> list[Piece]:
        """Writes rows as one piece a day; `before` are the pieces of the rows that precede them in their file."""
        source, written = self._source, []
        by_day = pl.concat(frames).partition_by("_day", as_dict=True, maintain_order=True)
        for (day,), frame in by_day.items():
            if source.has_repeats:
                of_day = [piece_file(self._settings, source, piece) for piece in before if piece.day == day]
                frame = with_repeat(frame, source.key_columns, of_day)
            written.append(self._write_piece(day, frame))
        return written

    def _write_piece(self, day: object, frame: pl.DataFrame) -> Piece:
        bytes_ = io.BytesIO()
        frame.select(*self._source.schema).write_parquet(bytes_, compression="zstd", compression_level=1)
        piece = Piece(day, hashlib.sha256(bytes_.getbuffer()).hexdigest(), frame.height)  # type: ignore[arg-type]
        target = piece_file(self._settings, self._source, piece)
        with replacing(target) as temporary:
            temporary.write_bytes(bytes_.getbuffer())
        return piece


def _rejects_name(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def piece_file(settings: Settings, source: Source, piece: Piece) -> Path:
    """Where a piece lies."""
    return settings.landed_dir / source.name / piece.day.isoformat() / f"{piece.name}.parquet"


TRIES = 2
"""How many times to try a file whose reading kills the process, by a crash or for lack of memory."""

_ENDS_PROCESSES = (
    f"the process that read it was killed, {TRIES} times, as for want of memory; it is left until it changes. "
    "Split it, or give the machine more memory, and drop it again"
)


class _Suspects:
    """Files whose reading killed the process. A file that raises an exception is no suspect: the exception says why.

    A file is noted before it is read and struck out afterwards. The note need not survive a stop of the machine, which
    no file causes.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            held = json.loads(file.read_text())
        except (FileNotFoundError, ValueError):
            held = None  # a damaged note blames no file
        self._tried: dict[str, object] = held if isinstance(held, dict) else {}

    def tries(self, file: InboxFile) -> int:
        """How often reading the file, as it is now, killed a process."""
        match self._tried.get(file.path):
            case [tried, int(times)] if tried == str(file):
                return times
        return 0

    @contextmanager
    def reading(self, file: InboxFile) -> Iterator[bool]:
        """Wraps the reading of a file; yields whether to try it."""
        tries = self.tries(file)
        self._tried[file.path] = [str(file), tries + 1]
        self._file.write_text(json.dumps(self._tried))
        try:
            yield tries < TRIES
        finally:
            del self._tried[file.path]
            if self._tried:
                self._file.write_text(json.dumps(self._tried))
            else:
                self._file.unlink()


class _Buffer:
    """Holds frames until they are large enough together to be worth a file."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit, self._held, self._size = limit_bytes, [], 0  # type: ignore[var-annotated]

    def add(self, frame: pl.DataFrame) -> list[pl.DataFrame]:
        """Takes a frame; returns all held frames once they exceed the limit, else none."""
        if frame.height:
            self._held.append(frame)
            self._size += int(frame.estimated_size())
        return self.take() if self._size > self._limit else []

    def take(self) -> list[pl.DataFrame]:
        held, self._held, self._size = self._held, [], 0
        return held


_DESCRIPTORS = Path("/proc/self/fd")  # each name there opens the file of a descriptor, from its start


@contextmanager
def _under_a_plain_name(folder: Path, file: InboxFile) -> Iterator[Path]:
    """Gives a file a temporary path without `*`, `[` or `?`, which the readers would take for patterns.

    The path leads to the file that was opened, not to what now has its name in the inbox; on systems without
    `/proc/self/fd`, to a copy of the file.
    """
    with ExitStack() as stack:
        try:
            descriptor = stack.enter_context(opened(folder, file))
        except OSError as error:
            if isinstance(error, FileNotFoundError) or is_transient(error):
                raise
            raise UnreadableFile(f"it cannot be opened ({error.strerror})") from error
        name = PurePosixPath(file.path).name.lower()
        gz = ".gz" if name.endswith(".gz") else ""
        held = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="landing-")))
        plain = held / f"file{Path(name.removesuffix('.gz')).suffix}{gz}"
        if _DESCRIPTORS.is_dir():
            plain.symlink_to(_DESCRIPTORS / str(descriptor))
        else:
            with open(descriptor, "rb", closefd=False) as source, plain.open("wb") as target:
                shutil.copyfileobj(source, target)
        yield plain
