"""Pages of records from a JSON API, one after another: within its limits, whatever it does meanwhile.

Knows how to ask and when to try again. What the records mean, and where they are kept, is not known here.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx
from pydantic import SecretStr

Place = Mapping[str, str]
"""Where a page is: the parameters that its request adds, or `{"url": …}`. It can be kept, and gone on from."""


class RestError(Exception):
    """The API could not be read, and the message says why; to ask again may help."""


class RestRefused(RestError):
    """The API refused, and would refuse again: a wrong key, a wrong address."""


# --------------------------------------------------------------------------------------------------- pagination


class Pagination(Protocol):
    """How one page leads to the next."""

    def first(self) -> Place:
        """Where the first page is."""

    def next(self, place: Place, response: httpx.Response, records: int) -> Place | None:
        """Where the page after one is; None after the last."""


@dataclass(frozen=True)
class PageNumbers:
    """Pages 1, 2, 3, … up to the first without records.

    An empty page is the only end that can be trusted: totals change while pages are read.
    """

    parameter: str = "page"

    def first(self) -> Place:
        """Page 1."""
        return {self.parameter: "1"}

    def next(self, place: Place, response: httpx.Response, records: int) -> Place | None:
        """The page with the next number."""
        return {self.parameter: str(int(place[self.parameter]) + 1)} if records else None


@dataclass(frozen=True)
class Cursor:
    """Each page's body holds the cursor of the next."""

    parameter: str = "cursor"
    member: str = "next_cursor"

    def first(self) -> Place:
        """No cursor."""
        return {}

    def next(self, place: Place, response: httpx.Response, records: int) -> Place | None:
        """The page with the cursor that this one names; a page may be empty and still name one.

        Raises:
            RestError: it names the cursor by which it was found.
        """
        cursor = response.json().get(self.member)
        if cursor is None or cursor == "":
            return None
        if place.get(self.parameter) == str(cursor):
            raise RestError(f"the page with the {self.parameter} {cursor} leads to itself")
        return {self.parameter: str(cursor)}


@dataclass(frozen=True)
class LinkHeader:
    """Each page's Link header holds the address of the next (RFC 8288)."""

    def first(self) -> Place:
        """The address itself."""
        return {}

    def next(self, place: Place, response: httpx.Response, records: int) -> Place | None:
        """The address that the header calls `next`.

        Raises:
            RestRefused: it is another server's, which must not see the key.
            RestError: it is the page's own.
        """
        link = response.links.get("next")
        if link is None:
            return None
        url = response.url.join(link["url"])
        if (url.scheme, url.host, url.port) != (response.url.scheme, response.url.host, response.url.port):
            raise RestRefused(f"the next page is on another server, {url.host}, which must not see the key")
        if url == response.url:
            raise RestError(f"the page {_shown(url)} leads to itself")
        return {"url": str(url)}


# -------------------------------------------------------------------------------------------------------- limits


@dataclass
class Budget:
    """So many requests in any span of so many seconds; who asks for one more waits until the oldest is that old."""

    requests: int
    seconds: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _sent: deque[float] = field(default_factory=deque)

    def take(self) -> None:
        """Waits until a request may be sent, and counts it."""
        while (wait := self._wait()) > 0:
            self.sleep(wait)
        self._sent.append(self.clock())

    @property
    def left(self) -> int:
        """Requests that may be sent at once."""
        self._forget()
        return self.requests - len(self._sent)

    def _wait(self) -> float:
        self._forget()
        return 0.0 if len(self._sent) < self.requests else self._sent[0] + self.seconds - self.clock()

    def _forget(self) -> None:
        while self._sent and self._sent[0] + self.seconds <= self.clock():
            self._sent.popleft()


TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may be others the next time; 5xx that are not among them too, other 4xx not."""


@dataclass(frozen=True)
class Patience:
    """How long a page is tried for.

    Attributes:
        total_seconds: all waits for one page together, those that the server asks for among them.
        first_seconds: the first wait, which doubles each time up to `longest_seconds`; a random part of it is waited
            (full jitter: Brooker, "Exponential Backoff and Jitter", 2015).
    """

    total_seconds: float = 600.0
    first_seconds: float = 0.5
    longest_seconds: float = 60.0

    def wait(self, tries: int, chance: random.Random) -> float:
        """Seconds to wait after so many tries, where the server does not say."""
        return chance.uniform(0, min(self.longest_seconds, self.first_seconds * 2 ** (tries - 1)))


def retry_after(response: httpx.Response, now: datetime) -> float | None:
    """The seconds for which a server asks to wait, given as seconds or as a date (RFC 9110); None where it does not."""
    said = response.headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())


# -------------------------------------------------------------------------------------------------------- client


@dataclass(frozen=True)
class Page:
    """Records, where they stood, and where the next ones are."""

    records: list[Any]
    place: Place
    next: Place | None


@dataclass(frozen=True)
class Endpoint:
    """What is asked for.

    Attributes:
        path: below the API's address.
        pagination: how pages follow each other.
        member: of the body, which holds the records.
        key_header: the header that holds the key.
        parameters: of every request.
    """

    path: str
    pagination: Pagination
    member: str = "data"
    key_header: str = "api_key"
    parameters: Mapping[str, str] = field(default_factory=dict)


class RestClient:
    """Reads an endpoint page by page. Its memory is that of one page."""

    def __init__(
        self,
        url: str,
        key: SecretStr,
        endpoint: Endpoint,
        budget: Budget,
        patience: Patience = Patience(),
        *,
        timeout_seconds: float = 30.0,
        chance: random.Random | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._endpoint, self.budget, self._patience = endpoint, budget, patience
        self._key, self._chance, self._sleep = key, chance or random.Random(), sleep
        headers = {endpoint.key_header: key.get_secret_value()}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=timeout_seconds)

    def __enter__(self) -> "RestClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def pages(self, place: Place | None = None, **parameters: str) -> Iterator[Page]:
        """The pages from a place on, the first by default, each once it is there.

        Args:
            parameters: filters of this reading, beside those of the endpoint.

        Raises:
            RestRefused: the API refused for good.
            RestError: it did not answer in the time that Patience allows.
        """
        pagination, at = self._endpoint.pagination, place
        following: Place | None = pagination.first() if at is None else at
        while following is not None:
            at = following
            response = self._fetch(at, parameters)
            records = self._records(response)
            following = pagination.next(at, response, len(records))
            yield Page(records, at, following)

    def _records(self, response: httpx.Response) -> list[Any]:
        body = response.json()
        records = body.get(self._endpoint.member) if isinstance(body, dict) else body
        if not isinstance(records, list):
            raise RestRefused(f"the answer to {_shown(response.url)} holds no list of {self._endpoint.member}")
        return records

    def _fetch(self, place: Place, parameters: Mapping[str, str]) -> httpx.Response:
        waited, tries = 0.0, 0
        while True:
            self.budget.take()
            tries += 1
            asked, problem = None, ""
            try:
                response = self._send(place, parameters)
                problem = self._problem(response)
                if not problem:
                    return response
                asked = retry_after(response, datetime.now(UTC))
            except httpx.TransportError as error:
                problem = f"{self._client.base_url.host} cannot be reached: {type(error).__name__} {error}".strip()
            wait = self._patience.wait(tries, self._chance) if asked is None else asked
            if waited + wait > self._patience.total_seconds:
                raise RestError(
                    f"{problem}; gave up after {tries} tries and {waited:.0f} s, as the next wait of {wait:.0f} s would "
                    f"exceed {self._patience.total_seconds:.0f} s in all"
                )
            self._sleep(wait)
            waited += wait

    def _send(self, place: Place, parameters: Mapping[str, str]) -> httpx.Response:
        if "url" in place:  # it holds its own parameters
            return self._client.get(place["url"])
        return self._client.get(self._endpoint.path, params={**self._endpoint.parameters, **parameters, **place})

    def _problem(self, response: httpx.Response) -> str:
        """What is wrong with an answer that may be another the next time; nothing where it is right.

        Raises:
            RestRefused: it would be the same.
        """
        where, status = _shown(response.url), response.status_code
        if response.is_success:
            try:
                response.json()
            except ValueError:
                return f"{where} answered with what is no JSON"
            return ""
        said = f"{where} answered {status} {response.reason_phrase}".rstrip()
        if status in TRANSIENT or status >= 500:
            return said
        if status in (401, 403):
            raise RestRefused(f"{said}: the key is wrong, or may not read this")
        raise RestRefused(said)


def _shown(url: httpx.URL) -> str:
    """An address without its parameters, which may hold a key."""
    return f"{url.scheme}://{url.netloc.decode()}{url.path}"
