"""A page of an API as a file: its list of records, one a line."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

_TIMEOUT = 30.0  # seconds
_MOST_BYTES = 100_000_000


@dataclass(frozen=True)
class Page:
    """A page of an API.

    Attributes:
        path: the end of its address, without parameters.
        records: the member that holds its records; empty if the page is their list.
    """

    path: str
    records: str


@contextmanager
def as_files(name: str, given: Sequence[str]) -> Iterator[tuple[list[Path], Page | None]]:
    """The files that are named, or that a page of an API becomes; and the page.

    Args:
        name: begins the name of a page's file.

    Raises:
        ValueError: an address stands among files, or its page holds no list of records.
    """
    addresses = [one for one in given if one.startswith(("http://", "https://"))]
    if not addresses:
        yield [Path(one).expanduser() for one in given], None
        return
    if len(given) > 1:
        raise ValueError("give files, or the address of one page of an API")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}-page.jsonl"
        member, records = records_of(_page(addresses[0]))
        file.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), encoding="utf-8")
        yield [file], Page(urlsplit(addresses[0]).path.rstrip("/").rpartition("/")[2], member)


def _page(address: str) -> Any:
    try:
        with httpx.stream("GET", address, timeout=_TIMEOUT, follow_redirects=True) as answer:
            answer.raise_for_status()
            body = b""
            for block in answer.iter_bytes():
                if len(body := body + block) > _MOST_BYTES:
                    raise ValueError(f"the page has more than {_MOST_BYTES:,} bytes; ask for a smaller one")
        return json.loads(body)
    except httpx.HTTPStatusError as error:
        raise ValueError(f"the API answers with {error.response.status_code}") from error
    except httpx.HTTPError as error:
        raise ValueError(f"the API cannot be reached: {error}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"the page is no JSON: {error}") from error


def records_of(page: Any) -> tuple[str, list[dict[str, Any]]]:
    """The records of a page, and the member that holds them: the one list of objects; no member if it is the page.

    Raises:
        ValueError: there is none, or there are several.
    """
    held = {"": page} if isinstance(page, list) else page if isinstance(page, dict) else {}
    lists = {
        name: one
        for name, one in held.items()
        if isinstance(one, list) and one and all(isinstance(item, dict) for item in one)
    }
    if len(lists) != 1:
        found = f"{len(lists)} lists of them" if lists else "no list of them"
        raise ValueError(f"a page should hold one list of records; this one holds {found}")
    ((member, records),) = lists.items()
    return member, records
