"""Pages of records from a JSON API, one after another: within its limits, whatever it does meanwhile.

Knows how to ask and when to try again. What the records mean, and where they are kept, is not known here.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote_plus

import httpx
import msgspec
import tenacity
from pydantic import SecretStr

Place = Mapping[str, str]
"""Where a page is: the parameters that its request adds, or `{"url": …}`. It can be kept, and gone on from."""


class RestError(Exception):
    """The API could not be read; the message says why."""


class RestUnavailable(RestError, ConnectionError):
    """It did not answer as it should, however often it was asked; later it may."""


class RestRefused(RestError):
    """It refused, and would refuse again: a wrong key, a wrong address.

    Attributes:
        may_be_the_place: whether it may be the page alone that it does not know any more.
    """

    def __init__(self, message: str, *, may_be_the_place: bool = False) -> None:
        super().__init__(message)
        self.may_be_the_place = may_be_the_place


# --------------------------------------------------------------------------------------------------- pagination


@dataclass(frozen=True)
class Answer:
    """What the API said to a request: from where, the members of the body, the records, the header's link to the next.

    Members and records are JSON, as it was sent: numbers keep their digits, and nothing is read that nobody asks for.
    """

    url: httpx.URL
    members: Mapping[str, msgspec.Raw]
    records: list[msgspec.Raw]
    following: str | None


class Pagination(Protocol):
    """How one page leads to the next."""

    def first(self) -> Place:
        """Where the first page is."""

    def next(self, place: Place, answer: Answer) -> Place | None:
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

    def next(self, place: Place, answer: Answer) -> Place | None:
        """The page with the next number."""
        return {self.parameter: str(int(place[self.parameter]) + 1)} if answer.records else None


@dataclass(frozen=True)
class Cursor:
    """Each page's body holds the cursor of the next."""

    parameter: str = "cursor"
    member: str = "next_cursor"

    def first(self) -> Place:
        """No cursor."""
        return {}

    def next(self, place: Place, answer: Answer) -> Place | None:
        """The page with the cursor that this one names; a page may be empty and still name one."""
        cursor = msgspec.json.decode(answer.members.get(self.member, b"null"))
        if cursor is None or cursor == "":
            return None
        return {self.parameter: str(cursor)}


@dataclass(frozen=True)
class LinkHeader:
    """Each page's Link header holds the address of the next (RFC 8288)."""

    def first(self) -> Place:
        """The address itself."""
        return {}

    def next(self, place: Place, answer: Answer) -> Place | None:
        """The address that the header calls `next`.

        Raises:
            RestRefused: it is another server's, which must not see the key.
        """
        if answer.following is None:
            return None
        url = answer.url.join(answer.following)
        if (url.scheme, url.host, url.port) != (answer.url.scheme, answer.url.host, answer.url.port):
            raise RestRefused(f"the next page is on another server, {url.host}, which must not see the key")
        return {"url": str(url)}


# -------------------------------------------------------------------------------------------------------- limits


@dataclass
class Budget:
    """So many requests in any span of so many seconds; who asks for one more waits until the oldest is that old.

    A request counts from its end on: a server that counts from when it comes in then never sees more, however long it
    was on its way.
    """

    requests: int
    seconds: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    waited: float = 0.0
    _ended: deque[float] = field(default_factory=deque)

    @contextmanager
    def request(self) -> Iterator[None]:
        """Waits until a request may be sent; the block sends it."""
        while self.left <= 0:
            wait = max(0.0, self._ended[0] + self.seconds - self.clock())
            self.waited += wait
            self.sleep(wait)
        try:
            yield
        finally:
            self._ended.append(self.clock())

    @property
    def left(self) -> int:
        """Requests that may be sent at once."""
        while self._ended and self._ended[0] + self.seconds <= self.clock():
            self._ended.popleft()
        return self.requests - len(self._ended)


TRANSIENT = frozenset({408, 425, 429})
"""The statuses below 500 that may be others the next time."""

SAME_PAGES = 4
"""A page that comes so often one after the other would come for ever: the API does not know the parameter, say."""

_BACKOFF = tenacity.wait_random_exponential(multiplier=0.5, max=60)
"""Up to 0.5 s, then twice that each time, up to a minute, where the server does not say; any part of it is waited, so
that those who failed together do not come again together (Brooker, "Exponential Backoff and Jitter", 2015)."""


class _TryAgain(Exception):
    """An answer that may be another the next time, and when the server wants to be asked again, in seconds."""

    def __init__(self, problem: str, after: float | None = None) -> None:
        super().__init__(problem)
        self.after = after


def retry_after(said: str, now: datetime) -> float | None:
    """The seconds for which `Retry-After` asks to wait, given as seconds or as a date (RFC 9110); None if neither."""
    if said.strip().isdecimal():
        return float(said)
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())


# -------------------------------------------------------------------------------------------------------- client


@dataclass(frozen=True)
class Page:
    """Records, each a line of JSON, where they stood, and where the next ones are."""

    records: list[msgspec.Raw]
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
    """Reads an endpoint page by page. Its memory is that of one page.

    Args:
        patience_seconds: how long a page is tried for, all waits together, those that the server asks for among them.
        timeout_seconds: how long a connection, or a part of an answer, is waited for.

    Raises:
        RestRefused: the key cannot stand in a header.
    """

    def __init__(
        self,
        url: str,
        key: SecretStr,
        endpoint: Endpoint,
        budget: Budget,
        *,
        patience_seconds: float = 600.0,
        timeout_seconds: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        secret = key.get_secret_value().strip()
        if not (secret and secret.isascii() and secret.isprintable()):  # httpx would show it in its error
            raise RestRefused("the key is empty, or holds characters that cannot stand in a header")
        self._endpoint, self._secret, self.budget = endpoint, secret, budget
        self._client = httpx.Client(base_url=url, headers={endpoint.key_header: secret}, timeout=timeout_seconds)
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            wait=_wait,
            stop=tenacity.stop_before_delay(patience_seconds),
            retry_error_callback=_give_up,
            sleep=sleep,
        )
        self.tries = 0

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
            RestUnavailable: it did not answer in the time that is had for a page.
        """
        following: Place | None = self._endpoint.pagination.first() if place is None else place
        been: set[frozenset[tuple[str, str]]] = set()
        ends, same = (b"", b""), 0
        while following is not None:
            at = following
            if (here := frozenset(at.items())) in been:
                raise RestRefused(f"the pages of {self._client.base_url}{self._endpoint.path} lead in a circle")
            been.add(here)
            answer = self._retrying(self._ask, at, parameters)
            if answer.records:
                before, ends = ends, (bytes(answer.records[0]), bytes(answer.records[-1]))
                same = same + 1 if ends == before else 1
                if same == SAME_PAGES:
                    raise RestRefused(f"{_shown(answer.url)} gave one page {same} times; is the pagination the API's?")
            following = self._endpoint.pagination.next(at, answer)
            if following and any(self._secret in unquote_plus(part) for part in following.values()):
                raise RestRefused("the API writes the key into the address of its next page, which would be kept")
            yield Page(answer.records, at, following)

    def _ask(self, place: Place, parameters: Mapping[str, str]) -> Answer:
        with self.budget.request():
            self.tries += 1
            try:
                response = self._send(place, parameters)
            except httpx.TransportError as error:
                raise _TryAgain(
                    f"{self._client.base_url} cannot be reached ({type(error).__name__}: {error})"
                ) from error
        where = _shown(response.url)
        _judge(response, where)
        try:
            members, records = _read(response.content, self._endpoint.member)
        except msgspec.ValidationError as error:
            raise RestRefused(f"the answer of {where} holds no list named {self._endpoint.member!r}") from error
        except ValueError as error:
            raise _TryAgain(f"{where} answered with what is no JSON") from error
        except RecursionError as error:
            raise RestRefused(f"{where} answered with a record that is nested too deeply to be read") from error
        following = response.links.get("next", {}).get("url")
        return Answer(response.url, members, records, following)

    def _send(self, place: Place, parameters: Mapping[str, str]) -> httpx.Response:
        if "url" in place:  # it holds its own parameters
            return self._client.get(place["url"])
        return self._client.get(self._endpoint.path, params={**self._endpoint.parameters, **parameters, **place})


_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def _read(content: bytes, member: str) -> tuple[Mapping[str, msgspec.Raw], list[msgspec.Raw]]:
    """The members of a body, and the records in one of them; a body may also be the list itself.

    Raises:
        msgspec.ValidationError: there is no such list.
        ValueError: it is no JSON.
    """
    # A line end can only stand between two parts of a record, since in a text it is written as \n.
    line = content.replace(b"\n", b" ").replace(b"\r", b" ")
    try:
        return _split(line, member)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:  # NaN, or half a character: that costs its record later, and not the page
        body = json.loads(line)
        records = body.get(member) if isinstance(body, dict) else body
        if not isinstance(records, list):
            raise msgspec.ValidationError(f"no list named {member}") from None
        members = body if isinstance(body, dict) else {}
        return {name: _written(value) for name, value in members.items()}, [_written(record) for record in records]


def _split(line: bytes, member: str) -> tuple[Mapping[str, msgspec.Raw], list[msgspec.Raw]]:
    if line.lstrip().startswith(b"["):
        return {}, _LIST.decode(line)
    members = _OBJECT.decode(line)
    return members, _LIST.decode(members.get(member, b"null"))


def _written(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def _judge(response: httpx.Response, where: str) -> None:
    """Raises where an answer is none: _TryAgain when the next may be, else RestRefused."""
    if response.is_success:
        return
    status = response.status_code
    # The phrase that the server sends is not repeated: it may say the key.
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    said = f"{where} answered {status} {phrase}".rstrip()
    if status in TRANSIENT or status >= 500:
        raise _TryAgain(said, retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC)))
    if status in (401, 403):
        raise RestRefused(f"{said}: the key is wrong, or may not read this")
    if 300 <= status < 400:
        raise RestRefused(
            f"{said}: it is at another address now; redirects are not followed, as they would see the key"
        )
    raise RestRefused(said, may_be_the_place=400 <= status < 500)


def _wait(state: tenacity.RetryCallState) -> float:
    """What the server asks for; the backoff where it asks for nothing, or for none, as with a clock that is behind."""
    error = state.outcome.exception() if state.outcome else None
    return (error.after if isinstance(error, _TryAgain) else None) or _BACKOFF(state)


def _give_up(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    tries = "1 try" if state.attempt_number == 1 else f"{state.attempt_number} tries"
    raise RestUnavailable(
        f"{error}; given up after {tries} in {state.seconds_since_start or 0:.0f} s, as the next would come only "
        f"{state.upcoming_sleep:.0f} s later"
    ) from error


def _shown(url: httpx.URL) -> str:
    """An address without its parameters, which may hold a key."""
    return f"{url.scheme}://{url.netloc.decode()}{url.path}"
