"""A pull of an API: its records become one JSON Lines file in the inbox, which is whole or not there.

What was fetched is kept page by page, so that a pull that dies goes on where it stopped. No Dagster here, and nothing of
what the records mean.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analytics_assets.files import only_one, replacing
from analytics_assets.ingest.rest import Endpoint, Page, Place, RestClient
from analytics_assets.settings import Settings

TOO_OLD = timedelta(days=1)
"""A pull that stopped so long ago is begun anew: its pages have shifted too far."""

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class Extract:
    """A kind of pull.

    Attributes:
        source: the source whose files the pulls are; the asset is `<source>_extract`.
        endpoint: what is asked for.
        since: the parameter that asks for records that changed at that time or later.
        overlap: how much earlier than the watermark a pull begins: what is committed late by less is not missed.
        sweep_days: so often a pull asks for everything from the first partition on.
    """

    source: str
    endpoint: Endpoint
    since: str
    overlap: timedelta = timedelta(hours=1)
    sweep_days: int = 7


@dataclass(frozen=True)
class Progress:
    """How far a pull has come; it is kept after each page.

    Attributes:
        started_at: when the pull began (UTC); names its file, and stands in each of its lines as `pulled_at`.
        since: what changed then or later is asked for.
        is_sweep: whether that is everything.
        place: where the next page is; None when all are fetched.
        size: bytes of the file that belong to fetched pages.
    """

    started_at: str
    since: str
    is_sweep: bool
    place: Place | None
    size: int = 0
    pages: int = 0
    records: int = 0
    resumed: int = 0


def pull(
    extract: Extract,
    settings: Settings,
    client: RestClient,
    begin: Callable[[], tuple[datetime, bool]],
    announce: Callable[[Progress, int], None] = lambda progress, left: None,
) -> Progress:
    """Pulls once, or goes on with a pull that stopped; a second one at the same time waits for the first.

    Args:
        begin: since when a new pull asks, and whether that is a sweep.
        announce: told after each page, with the requests that are left in the budget.

    Raises:
        RestError: the API could not be read; what was fetched is kept.
        OSError: a page could not be written.
    """
    folder = settings.lake_dir / "extracts" / extract.source
    state, fetched = folder / "progress.json", folder / "pages.jsonl"
    with only_one(folder / ".lock"):
        progress = _resumed(state, fetched) or _begun(extract, begin)
        if progress.place is not None:
            for page in client.pages(progress.place, **{extract.since: progress.since}):
                progress = _kept(progress, page, state, fetched)
                announce(progress, client.budget.left)
        if fetched.exists():  # else a kill came between this and the next line
            _hand_over(fetched, settings.inbox_dir / extract.source / f"{extract.source}-{_named(progress)}.jsonl")
        state.unlink(missing_ok=True)
    return progress


def watermark(newest: datetime | None, first: datetime, overlap: timedelta) -> datetime:
    """Since when to ask: the newest time that is known, less the overlap, and never before the first partition."""
    return max(first, newest - overlap) if newest else first


def _begun(extract: Extract, begin: Callable[[], tuple[datetime, bool]]) -> Progress:
    since, is_sweep = begin()
    return Progress(
        started_at=datetime.now(UTC).strftime(_TIME),
        since=since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        is_sweep=is_sweep,
        place=extract.endpoint.pagination.first(),
    )


def _resumed(state: Path, fetched: Path) -> Progress | None:
    """The pull that stopped, with the half page cut off that was being written; None where there is none to go on with."""
    if not state.exists():
        fetched.unlink(missing_ok=True)
        return None
    progress = Progress(**json.loads(state.read_text()))
    age = datetime.now(UTC) - datetime.strptime(progress.started_at, _TIME).replace(tzinfo=UTC)
    if progress.place is not None and age > TOO_OLD:
        state.unlink()
        fetched.unlink(missing_ok=True)
        return None
    if fetched.exists():
        os.truncate(fetched, progress.size)
    return replace(progress, resumed=progress.resumed + 1)


def _kept(progress: Progress, page: Page, state: Path, fetched: Path) -> Progress:
    """The page is written, and then that it is: in the other order a kill would lose it."""
    lines = "".join(
        json.dumps({"pulled_at": progress.started_at, "record": record}, ensure_ascii=False) + "\n"
        for record in page.records
    ).encode()
    with fetched.open("ab") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
    progress = replace(
        progress,
        place=page.next,
        size=progress.size + len(lines),
        pages=progress.pages + 1,
        records=progress.records + len(page.records),
    )
    with replacing(state) as temporary:
        temporary.write_text(json.dumps(asdict(progress)))
    return progress


def _hand_over(fetched: Path, target: Path) -> None:
    if fetched.stat().st_size == 0:
        fetched.unlink()
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    fetched.replace(target)


def _named(progress: Progress) -> str:
    """The pull's start as a part of a file name."""
    return progress.started_at.replace(":", "").replace(".", "-")
