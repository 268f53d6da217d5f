"""Landing: each file's bytes become immutable Parquet pieces by day, once, and its bad rows go to the rejects.

The order of the writes makes a kill harmless: pieces, rejects, the ledger transaction that makes them count, and last
the journal entry. Whatever a kill leaves before that transaction is never read.
"""

import hashlib
import io
import json
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import chain, groupby, islice
from pathlib import Path, PurePosixPath

import polars as pl

from analytics_assets.foundation.batches import batched
from analytics_assets.foundation.failures import is_transient
from analytics_assets.foundation.files import only_one, replacing
from analytics_assets.foundation.plain_text import logger_of
from analytics_assets.foundation.threads import in_threads
from analytics_assets.foundation.words import plural
from analytics_assets.ingest.formats import read_batches
from analytics_assets.ingest.inbox import FileChanged, InboxFile, Look, Mark, folder_of, look, opened, unchanged
from analytics_assets.ingest.parse import empty_landed, parse_batch
from analytics_assets.ingest.records import Batch, UnreadableFile
from analytics_assets.ingest.rejects import rejects_name
from analytics_assets.ingest.repeats import with_repeat
from analytics_assets.settings import Settings
from analytics_assets.spec.source import UNDATED, Kind, Source
from analytics_assets.state.ledger import Content, Found, Ledger, Piece, is_leftover, unfinished_mark

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


_MOST_SENTENCES = 10  # up to so many files that land together get a sentence each

_FILES_TOGETHER, _BYTES_TOGETHER = 200, 8_000_000
"""Small files land together up to this number, and up to this size of their records in memory."""


@dataclass
class _Read:
    """A file that was opened, and what was read of it.

    Attributes:
        first: its first two batches at most.
        rest: the others.
        unknown: columns that the spec lacks; complete once all batches were taken.
        swallowed: the number of lines of each reject that spans several, likewise.
    """

    file: InboxFile
    digest: str = ""
    identity: str = ""
    first: list[Batch] = field(default_factory=list)
    rest: Iterator[Batch] = field(default_factory=lambda: iter(()))
    error: str | None = None
    is_gone: bool = False
    has_changed: bool = False
    unknown: set[str] = field(default_factory=set)
    swallowed: dict[int, int] = field(default_factory=dict)

    @property
    def is_small(self) -> bool:
        """Whether all of it is in memory."""
        return len(self.first) < 2

    @cached_property
    def size(self) -> int:
        """About how many bytes of memory its first batches take."""
        frames = [frame for batch in self.first for frame in (batch.frame, batch.extra) if frame is not None]
        broken = [record for batch in self.first for record in batch.broken]
        return sum(int(frame.estimated_size()) for frame in frames) + sum(500 + len(one.text) for one in broken)

    def batches(self, source: Source) -> Iterator[Batch]:
        """All batches of the file, each once."""
        for batch in chain(self.first, self.rest):
            self.unknown |= batch.unknown | (set(batch.frame.columns) - set(source.columns))
            long = {broken.row: broken.lines for broken in batch.broken if broken.lines > 1}
            self.swallowed.update(islice(long.items(), _MOST_FINDINGS - len(self.swallowed)))
            yield batch


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
        """Lands the oldest new files, at most `landing_files_per_run` of them."""
        lake_dir, name = self._settings.lake_dir, self._source.name
        unfinished = unfinished_mark(lake_dir, name)
        with only_one(lake_dir / f".landing-{name}.lock"):
            if unfinished.exists():
                self._sweep()
            unfinished.touch()
            self._leftovers = False
            seen = self.look()
            report = LandingReport(unsettled=[f.path for f in seen.unsettled], ignored=seen.ignored, closed=seen.closed)
            note = lake_dir / f".landing-{name}.reading"
            suspects = _Suspects(note, [*seen.new, *seen.unsettled])
            seen.new.sort(key=lambda file: suspects.tries(file) > 0)  # files that ended a process come last
            taken = seen.new[: self._settings.landing_files_per_run]
            report.remaining = len(seen.new) - len(taken)
            self._land_all(taken, suspects, report)
            if not self._leftovers:
                unfinished.unlink()
            return report

    def _sweep(self) -> None:
        """Removes what landing wrote before it was killed: pieces and rejects that the ledger does not know."""
        mark = unfinished_mark(self._settings.lake_dir, self._source.name)
        identities, names = self._ledger.identities_and_pieces(self._source)
        rejects = {rejects_name(identity) for identity in identities}
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

    def _land_all(self, files: Sequence[InboxFile], suspects: "_Suspects", report: LandingReport) -> None:
        """Lands files in their order: small ones together, but each that may have ended a process by itself."""
        with suspects.noted(), tempfile.TemporaryDirectory(prefix="landing-") as held:
            for is_suspect, group in groupby(files, suspects.is_suspect):
                for some in batched(group, 1 if is_suspect else _FILES_TOGETHER):
                    self._land_some(some, suspects, Path(held), report)
                    suspects.clear(some)

    def _land_some(self, files: Sequence[InboxFile], suspects: "_Suspects", held: Path, report: LandingReport) -> None:
        small = list[_Read]()

        def land_small() -> None:
            suspects.work_on(read.file for read in small)
            self._land(small, report)
            small.clear()

        for file in files:
            with ExitStack() as stack:
                suspects.work_on([file])
                try:
                    read = self._read(file, suspects.tries(file) < TRIES, stack, held)
                except Exception:
                    if small:  # a disk that cannot be read holds up what was read before
                        land_small()
                    raise
                if read.is_small:
                    small.append(read)
                if small and (not read.is_small or sum(one.size for one in small) > _BYTES_TOGETHER):
                    land_small()
                if not read.is_small:
                    suspects.work_on([file])
                    self._land([read], report)
        if small:
            land_small()

    def _read(self, file: InboxFile, may_be_read: bool, stack: ExitStack, held: Path) -> "_Read":
        """Opens a file and reads its first records; all of them if they are few.

        Args:
            stack: keeps the file open, as long as the rest of it may be read.
            held: an empty folder for the name under which it is read.
        """
        read = _Read(file)
        try:
            if not may_be_read:
                raise UnreadableFile(_ENDS_PROCESSES)
            plain = stack.enter_context(_under_a_plain_name(self._folder, file, held))
            with plain.open("rb") as bytes_:
                read.digest = hashlib.file_digest(bytes_, "sha256").hexdigest()
            read.identity = self._source.identity(file.path, read.digest)
            if self._source.time is None:
                self._source.day_in_path(file.path)  # a name with an impossible day is told before what it holds
            read.rest = read_batches(plain, self._source)
            read.first = list(islice(read.rest, 2))
        except (UnreadableFile, ValueError) as error:
            read.error = str(error)
        except FileNotFoundError:
            read.is_gone = True  # removed before it could be opened
        except FileChanged:
            read.has_changed = True
        return read

    def _land(self, reads: Sequence["_Read"], report: LandingReport) -> None:
        """Writes the rows of some files, and records the files in one transaction."""
        source, ledger = self._source, self._ledger
        known = ledger.known(source, {read.identity for read in reads if read.identity})
        new: dict[str, _Read] = {}
        for read in reads:
            if read.identity in known:
                read.error = None
            elif read.error is None and read.identity:
                new.setdefault(read.identity, read)
        try:
            contents = self._write(list(new.values()))
        except Exception as error:
            blames_files = isinstance(error, UnreadableFile | ValueError)
            if not blames_files and (is_transient(error) or len(reads) == 1):
                raise
            self._leftovers = True
            if len(reads) > 1:  # which of them it was shows when each lands alone
                for read in reads:
                    self._land([read], report)
                return
            reads[0].error, contents = str(error), {}
        found: list[Found] = []
        for read in reads:
            if read.is_gone:
                continue
            path, seen = read.file.path, read.file.seen(source.reading)
            if read.has_changed:
                report.unsettled.append(path)
            elif not unchanged(self._folder, read.file):
                self._leftovers = True
                report.unsettled.append(path)
            elif read.error is not None:
                self._leftovers = True
                found.append(Found(path, seen, None, read.error))
            else:
                found.append(Found(path, seen, read.identity))
        paths = {one.path for one in found}
        landed = {content.path: content for content in contents.values() if content.path in paths}
        # Bytes that were read under a path that has changed since: they land under the other one that has them.
        lost = contents.keys() - {content.identity for content in landed.values()}
        again = [read for read in reads if read.identity in lost and read.file.path in paths]
        found = [one for one in found if one.identity not in lost]
        if found:
            ledger.record(source, list(landed.values()), found)
        self._tell(found, landed, report)
        for read in again:
            self._land([read], report)

    def _tell(self, found: Sequence[Found], landed: Mapping[str, Content], report: LandingReport) -> None:
        """Adds to the report, and logs one sentence per file; one for all without rejects that landed, if many did."""
        in_order: list[Content] = []
        for one in found:
            name = f"{self._source.name}/{one.path}"
            if one.error is not None:
                report.unreadable[one.path] = one.error
                logger.warning(f"{name} cannot be read: {one.error}")
            elif content := landed.get(one.path):
                report.landed[one.path] = content
                if content.rejected_rows or len(found) <= _MOST_SENTENCES:
                    logger.info(f"{name}: {plural(content.accepted_rows, 'row')}, {content.rejected_rows:,} rejected")
                else:
                    in_order.append(content)
            else:
                report.known.append(one.path)
                logger.info(f"{name}: its bytes were landed before")
        if in_order:
            rows = sum(content.accepted_rows for content in in_order)
            first, last = in_order[0].path, in_order[-1].path
            logger.info(f"{self._source.name}: {len(in_order)} files, {rows:,} rows, none rejected: {first} … {last}")

    def _day_of_file(self, content: Content, first_landed: Mapping[str, datetime]) -> date | None:
        """The day of all rows of a file; None if each has its own."""
        source = self._source
        if source.time is not None:
            return None
        day = source.day_in_path(content.path)
        if source.kind is Kind.DELIVERY and day == UNDATED:
            return source.calendar.today(first_landed.get(content.hash, content.landed_at).replace(tzinfo=UTC))
        return day

    def _write(self, reads: Sequence["_Read"]) -> dict[str, Content]:
        """Writes the rows and rejects of files whose bytes are new; returns their contents by identity."""
        source = self._source
        now = datetime.now(UTC).replace(tzinfo=None)
        contents = {  # a later file has a later time
            read.file.path: Content(read.identity, read.file.path, read.digest, now + timedelta(microseconds=number))
            for number, read in enumerate(reads)
        }
        digests = [content.hash for content in contents.values()] if source.kind is Kind.DELIVERY else []
        first_landed = self._ledger.first_landed(source, digests) if digests else {}
        days = {path: self._day_of_file(content, first_landed) for path, content in contents.items()}
        limit = self._settings.landing_buffer_mb * 1_000_000
        rows, rejects = _Buffer(limit), _Buffer(limit)
        rejected: dict[str, Counter[object]] = defaultdict(Counter)
        parts: Counter[str] = Counter()

        def write_rejects(frames: list[pl.DataFrame]) -> None:
            for (path,), frame in pl.concat(frames).partition_by("file", as_dict=True, maintain_order=True).items():
                name = f"{rejects_name(contents[path].identity)}-{parts[path]}"
                with replacing(self._settings.rejects_dir / source.name / f"{name}.parquet") as target:
                    frame.write_parquet(target)
                parts[path] += 1

        for batch, of_rows in _joined(reads, contents, source):
            parsed = parse_batch(batch, source, of_rows.file, of_rows.landed_at)
            accepted = parsed.accepted
            if source.time is None:
                of_file = pl.col("_source_file").replace_strict(days, return_dtype=pl.Date)
                accepted = accepted.with_columns(_day=of_file)
            if full := rows.add(accepted):
                self._write_pieces(full, contents)
            for path, on, lines in parsed.rejected.group_by("file", "day").agg(pl.col("lines").sum()).iter_rows():
                rejected[path][on] += lines
            if full := rejects.add(parsed.rejected):
                write_rejects(full)
        if rest := rows.take():
            self._write_pieces(rest, contents)
        if rest := rejects.take():
            write_rejects(rest)
        for read in reads:
            content = contents[read.file.path]
            day = days[content.path]
            if not content.pieces and source.kind is Kind.SNAPSHOT and day is not None:
                content.pieces.append(self._write_piece(day, empty_landed(source)))  # a fact: on its day nothing exists
            content.unknown_columns = sorted(read.unknown)[:_MOST_FINDINGS]
            content.swallowed = read.swallowed
            content.rejected = dict(rejected[content.path])  # type: ignore[arg-type]
        return {content.identity: content for content in contents.values()}

    def _write_pieces(self, frames: list[pl.DataFrame], contents: Mapping[str, Content]) -> None:
        """Writes rows as one piece for each file and day; adds them to the pieces of the rows that precede them."""
        by = ["_source_file", "_day"] if len(contents) > 1 else ["_day"]
        by_piece = pl.concat(frames).partition_by(by, as_dict=True, maintain_order=True)
        only = next(iter(contents.values()))

        def write(part: tuple[tuple[object, ...], pl.DataFrame]) -> Piece:
            (*path, day), rows = part
            if self._source.has_repeats:
                pieces = (contents[str(path[0])] if path else only).pieces
                before = [piece_file(self._settings, self._source, piece) for piece in pieces if piece.day == day]
                rows = with_repeat(rows, self._source.key_columns, before)
            return self._write_piece(day, rows)

        for (*path, _), piece in zip(by_piece, in_threads(write, by_piece.items()), strict=True):
            (contents[str(path[0])] if path else only).pieces.append(piece)

    def _write_piece(self, day: object, frame: pl.DataFrame) -> Piece:
        bytes_ = io.BytesIO()
        frame[list(self._source.schema)].write_parquet(bytes_, compression="zstd", compression_level=1)
        piece = Piece(day, hashlib.sha256(bytes_.getbuffer()).hexdigest(), frame.height)  # type: ignore[arg-type]
        target = piece_file(self._settings, self._source, piece)
        with replacing(target) as temporary:
            temporary.write_bytes(bytes_.getbuffer())
        return piece


@dataclass(frozen=True)
class _Origin:
    """Which file the rows of a batch are of, and when it landed: one value, or one for each row."""

    file: str | pl.Series
    landed_at: datetime | pl.Series


def _joined(reads: Sequence[_Read], contents: Mapping[str, Content], source: Source) -> Iterator[tuple[Batch, _Origin]]:
    """The batches of some files; of several files, those with the same columns are joined.

    To type a column has a cost of its own, which a file of a few rows would not be worth.
    """
    alike: dict[object, list[tuple[Batch, Content]]] = defaultdict(list)
    for read in reads:
        content = contents[read.file.path]
        for batch in read.batches(source):
            if batch.broken or len(reads) == 1:
                yield batch, _Origin(content.path, content.landed_at)
            else:
                alike[(*batch.frame.schema.items(), batch.extra is None)].append((batch, content))
    for same in alike.values():
        frames, numbers, extras, files, times = [], [], [], [], []
        for batch, content in same:
            frames.append(batch.frame)
            numbers.append(batch.rows)
            extras += [] if batch.extra is None else [batch.extra]
            files.append(pl.repeat(content.path, batch.frame.height, dtype=pl.String, eager=True))
            times.append(pl.repeat(content.landed_at, batch.frame.height, dtype=pl.Datetime("us"), eager=True))
        extra = pl.concat(extras) if extras else None
        joined = Batch(pl.concat(frames), pl.concat(numbers), extra=extra)
        yield joined, _Origin(pl.concat(files), pl.concat(times))


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
    """Files that may have ended the process. A file that raises an exception is no suspect: the exception says why.

    The note's first line counts how often a file ended a process. Each line below names the files that were worked on
    from then on: if the process ends, it was one of the last line's. Only where that names a single file does it count;
    otherwise each of them lands alone from then on. The note need not survive a stop of the machine, which no file
    causes.
    """

    def __init__(self, note: Path, new: Iterable[InboxFile]) -> None:
        """Reads a note.

        Args:
            new: the files that have not landed; the others are no suspects any more.
        """
        self._note = note
        self._tried: dict[str, tuple[str, int]] = {}
        try:
            first, *others = note.read_text().splitlines() or [""]
            self._tried = {path: (str(file), int(times)) for path, (file, times) in json.loads(first).items()}
            last = json.loads(others[-1]) if others else []
            for path, file in last:
                self._tried[path] = file, self._times(path, file) + (len(last) == 1)
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            pass  # a damaged note blames no file, and a line that was cut off no other one
        self._tried = {file.path: self._tried[file.path] for file in new if self.is_suspect(file)}

    def is_suspect(self, file: InboxFile) -> bool:
        """Whether the file, as it is now, may have ended a process."""
        return self._tried.get(file.path, ("", 0))[0] == str(file)

    def tries(self, file: InboxFile) -> int:
        """How often the file, as it is now, has ended a process."""
        return self._times(file.path, str(file))

    def _times(self, path: str, file: str) -> int:
        tried, times = self._tried.get(path, ("", 0))
        return times if tried == file else 0

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Wraps the work on files; keeps the note up to date."""
        self._write()
        try:
            yield
        finally:
            if self._tried:
                self._write()
            else:
                self._note.unlink()

    def work_on(self, files: Iterable[InboxFile]) -> None:
        """Notes the files that are worked on from now on."""
        with self._note.open("a") as note:
            note.write(f"{json.dumps([[file.path, str(file)] for file in files])}\n")

    def clear(self, files: Iterable[InboxFile]) -> None:
        """Strikes out files that ended no process this time."""
        if [file for file in files if self._tried.pop(file.path, None)]:
            self._write()

    def _write(self) -> None:
        self._note.write_text(f"{json.dumps(self._tried)}\n")


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
def _under_a_plain_name(folder: Path, file: InboxFile, held: Path) -> Iterator[Path]:
    """Gives a file a temporary path in `held` without `*`, `[` or `?`, which the readers would take for patterns.

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
        plain = held / f"file{Path(name.removesuffix('.gz')).suffix}{gz}"
        stack.callback(plain.unlink, missing_ok=True)
        if _DESCRIPTORS.is_dir():
            plain.symlink_to(_DESCRIPTORS / str(descriptor))
        else:
            with open(descriptor, "rb", closefd=False) as source, plain.open("wb") as target:
                shutil.copyfileobj(source, target)
        yield plain
