"""A pull of an API: its new records become one JSON Lines file in the inbox, which is whole or absent.

Fetched pages are saved one by one, so that a pull that dies can resume where it stopped. This module knows nothing of
Dagster, nor of what the records mean.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import duckdb
from filelock import FileLock, Timeout
from msgspec import Raw

from analytics_assets.extract.known_records import KnownRecords
from analytics_assets.extract.rest import Budget, Page, RestClient, RestRefused
from analytics_assets.foundation.files import replacing
from analytics_assets.foundation.hashes import digest
from analytics_assets.foundation.plain_text import logger_of
from analytics_assets.foundation.words import plural
from analytics_assets.ingest.formats import read_batches
from analytics_assets.ingest.parse import parse_batch
from analytics_assets.settings import Api, Settings
from analytics_assets.spec.extract import Extract
from analytics_assets.spec.pagination import Place
from analytics_assets.state.ledger import Ledger

logger = logger_of(__name__)

TOO_OLD = timedelta(days=1)
"""Maximum age of a pull that can be resumed: the pages of an older one have shifted too far."""

SAYS_EVERY = 2.0
"""How many seconds pass between two lines of progress."""

BEFORE_RECORD, AFTER_RECORD = b', "record": ', b"}\n"
"""What stands before the record in a line, after the members that the pull adds; and what stands after the record."""

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class Span:
    """What a pull requests.

    Attributes:
        since: it requests the records that changed at this time or later (UTC).
        is_sweep: whether that is everything, to catch records that were committed too late for earlier pulls.
        usual: the `since` of today's usual pull; None for that pull itself, or if staging holds no change.
    """

    since: datetime
    is_sweep: bool = False
    usual: datetime | None = None


@dataclass(frozen=True)
class Progress:
    """How far a pull has come; it is saved after each page.

    Attributes:
        asked: a hash of the address and of what is requested; a pull with another hash cannot resume this one.
        started_at: when the pull began (UTC); names its file, and stands in each of its lines.
        since: it requests the records that changed at this time or later.
        is_sweep: whether that is everything.
        usual: the `since` of today's usual pull; empty for that pull itself, or if staging held no change.
        place: where the next page is; None when all are fetched.
        size: how many bytes of the file belong to fetched pages.
        new: how many of the records had not landed before; they stand in the file.
        resumed: how often the pull was resumed.
    """

    asked: str
    started_at: str
    since: str
    is_sweep: bool
    usual: str
    place: Place | None
    size: int = 0
    pages: int = 0
    records: int = 0
    new: int = 0
    resumed: int = 0


@dataclass(frozen=True)
class Pulled:
    """The result of a pull.

    Attributes:
        file: the file that it dropped; None if no record was new.
        requests: how many requests this process sent, including failed ones.
        committed_late: for a sweep, how many rows usual pulls would no longer have found.
        waited_seconds: how long it waited for the budget.
    """

    progress: Progress
    file: Path | None
    requests: int
    requests_left: int
    waited_seconds: float
    committed_late: int | None


def since_when(newest: datetime | None, first: datetime, overlap: timedelta) -> datetime:
    """The newest known change minus the overlap, but never before `first`; `first` if no change is known."""
    return max(first, newest - overlap) if newest else first


class Pull:
    """Pulls of one API; concurrent pulls run one after the other."""

    def __init__(self, extract: Extract, api: Api, settings: Settings) -> None:
        self._extract, self._api, self._settings = extract, api, settings
        folder = settings.lake_dir / "extracts" / extract.source.name
        self._folder = folder
        self._state, self._fetched, self._swept = folder / "progress.json", folder / "pages.jsonl", folder / "swept.txt"
        self._asked = digest([api.url, repr(extract.endpoint), extract.since])
        self._said_at = 0.0

    def _known(self) -> KnownRecords:
        source = self._extract.source
        return KnownRecords(self._folder / "known.sqlite", source, Ledger(self._settings.lake_dir))

    def swept_at(self) -> datetime | None:
        """When the last sweep of the same request began; None if none is known."""
        try:
            asked, started_at = self._swept.read_text().split()
            return _read_time(started_at) if asked == self._asked else None
        except (FileNotFoundError, ValueError):
            return None

    def run(self, begin: Callable[[], Span]) -> Pulled:
        """Pulls once. A pull that stopped is resumed first; that is enough if pages were left and it requested no less.

        Args:
            begin: returns what to request; called once no other pull is in progress.

        Raises:
            RestError: the API could not be read; fetched pages are kept.
            OSError: a page could not be written.
        """
        with self._alone():
            span = begin()
            progress = self._resumed()
            if progress is not None:
                try:
                    pulled = self._finish(progress)
                except RestRefused as error:
                    if not (error.may_be_the_place and self._pages_kept() == progress.pages):
                        raise
                    logger.warning(f"{self._name}: the API does not go on where the last pull stopped; pulling anew")
                else:
                    if progress.place is not None and progress.since <= _written(span.since):
                        return pulled  # it fetched pages just now, and covers this request
            return self._finish(self._begun(span))

    @property
    def _name(self) -> str:
        return self._extract.source.name

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.info(f"{self._name}: another pull is going on; this one comes after it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _begun(self, span: Span) -> Progress:
        self._fetched.unlink(missing_ok=True)
        progress = Progress(
            asked=self._asked,
            started_at=datetime.now(UTC).strftime(_TIME),
            since=_written(span.since),
            is_sweep=span.is_sweep,
            usual=span.usual.strftime(_TIME) if span.usual else "",
            place=self._extract.endpoint.pagination.first(),
        )
        self._keep(progress)
        return progress

    def _resumed(self) -> Progress | None:
        """The pull that stopped, with an incomplete last page cut off; None if none can be resumed."""
        progress = self._kept()
        if progress is None or progress.asked != self._asked:
            return None
        if progress.place is not None and datetime.now(UTC) - _read_time(progress.started_at) > TOO_OLD:
            return None
        size = self._fetched.stat().st_size if self._fetched.exists() else 0
        if size < progress.size:  # the machine went down before the pages reached the disk
            return None
        if size:
            os.truncate(self._fetched, progress.size)
        return replace(progress, resumed=progress.resumed + 1)

    def _kept(self) -> Progress | None:
        try:
            return Progress(**json.loads(self._state.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _pages_kept(self) -> int:
        kept = self._kept()
        return kept.pages if kept else 0

    def _finish(self, progress: Progress) -> Pulled:
        api = self._api
        budget = Budget(api.requests, api.seconds)
        client = RestClient(
            api.url,
            api.key,
            self._extract.endpoint,
            budget,
            patience_seconds=api.patience_seconds,
            timeout_seconds=api.timeout_seconds,
            pull_minutes=api.pull_minutes,
            page_mb=api.page_mb,
            empty_pages=api.empty_pages,
        )
        known = self._known()
        with client:
            if progress.place is not None:
                self._fetched.touch()
                with self._fetched.open("ab") as file:
                    for page in client.pages(progress.place, self._extract.asks_since(progress.since)):
                        progress = self._add(progress, page, known.new(page.records), file)
                        self._say(progress, client.tries, budget.left)
            late = self._committed_late(progress)
            dropped = self._hand_over(progress, known)
        if progress.is_sweep:
            with replacing(self._swept) as temporary:
                temporary.write_text(f"{progress.asked} {progress.started_at}")
        self._state.unlink(missing_ok=True)
        return Pulled(progress, dropped, client.tries, budget.left, budget.waited, late)

    def _add(self, progress: Progress, page: Page, new: Sequence[Raw], file: BinaryIO) -> Progress:
        """Writes the new records of a page, then the progress: in the other order, a kill would lose the records."""
        of_pull = {self._extract.pulled: progress.started_at, self._extract.page: progress.pages + 1}
        before = json.dumps(of_pull).removesuffix("}").encode() + BEFORE_RECORD
        lines = b"".join(part for record in new for part in (before, record, AFTER_RECORD))
        file.write(lines)
        file.flush()
        progress = replace(
            progress,
            place=page.next,
            size=progress.size + len(lines),
            pages=progress.pages + 1,
            records=progress.records + len(page.records),
            new=progress.new + len(new),
        )
        self._keep(progress)
        return progress

    def _keep(self, progress: Progress) -> None:
        """Saves progress so that it survives a kill. After a power cut, missing pages are noticed and pulled again."""
        temporary = self._state.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(progress)))
        temporary.replace(self._state)

    def _say(self, progress: Progress, requests: int, left: int) -> None:
        now = time.monotonic()
        if progress.place is None or now - self._said_at >= SAYS_EVERY:
            self._said_at = now
            logger.info(
                f"{self._name}: {plural(progress.pages, 'page')}, {plural(progress.records, 'record')}, "
                f"{progress.new:,} new; "
                f"{requests:,} requests, {left:,} of {self._api.requests:,} left in {self._api.seconds:g} s"
            )

    def _hand_over(self, progress: Progress, known: KnownRecords) -> Path | None:
        """Copies the fetched pages into the inbox, which may be on another disk; doing it twice gives the same file."""
        if progress.size == 0:
            self._fetched.unlink(missing_ok=True)
            return None
        name = progress.started_at.replace(":", "").replace(".", "-")
        target = self._settings.inbox_dir / self._name / f"{self._name}-{name}.jsonl"
        with replacing(target) as temporary:
            shutil.copyfile(self._fetched, temporary)
        known.remember(self._fetched, target.name, BEFORE_RECORD, AFTER_RECORD)
        self._fetched.unlink()
        return target

    def _committed_late(self, progress: Progress) -> int | None:
        """How many rows of a sweep changed before the `since` of the usual pull and had never landed."""
        if not (progress.is_sweep and progress.usual):
            return None
        if not progress.size:
            return 0
        source, before = self._extract.source, _read_time(progress.usual).replace(tzinfo=None)
        pieces = sorted((self._settings.landed_dir / self._name).glob("*/*.parquet"))
        landed = [str(piece.relative_to(self._settings.landed_dir)) for piece in pieces]
        columns = [*source.key_columns, *([source.time] if source.time else []), self._extract.changed]
        key = ", ".join(f'"{c}"' for c in columns)
        found = 0
        with duckdb.connect(
            config={
                "memory_limit": self._settings.duckdb_memory_limit,
                "file_search_path": str(self._settings.landed_dir),  # not read as a glob, as a full path is
            }
        ) as connection:
            for batch in read_batches(self._fetched, source):
                rows = parse_batch(batch, source, "", datetime.now()).accepted
                connection.register("rows", rows)
                sql = f'select distinct {key} from rows where "{self._extract.changed}" < ?'
                values: list[object] = [before]
                if landed:  # a piece that is older than the spec may lack a column, which is then null
                    held = f"""
                        select {key} from rows where false
                        union all by name
                        select * from read_parquet(?, union_by_name = true)
                    """
                    sql, values = f"{sql} except select {key} from ({held})", [before, landed]
                counted = connection.execute(f"select count(*) from ({sql})", values).fetchone()
                found += counted[0] if counted else 0
        return found


def _written(since: datetime) -> str:
    """A time in whole seconds, which all APIs understand."""
    return since.strftime("%Y-%m-%dT%H:%M:%SZ")


def _read_time(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
