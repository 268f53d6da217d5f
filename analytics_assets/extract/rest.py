"""Reads a JSON API page by page, within its limits, whatever it answers.

This module knows how to send requests and when to retry. `pagination` knows how one page leads to the next. What the
records mean, and where they are kept, is not known here.
"""

import codecs
import json
import logging
import math
import re
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from html import unescape
from http import HTTPStatus
from queue import Empty, SimpleQueue
from urllib.parse import quote, unquote_plus

import httpx
import msgspec
import tenacity
from pydantic import SecretStr

from analytics_assets.spec.extract import Endpoint
from analytics_assets.spec.pagination import (
    Answer,
    Members,
    PaginationError,
    Place,
    is_set,
    member_at,
    members_of,
    names_in,
    shown,
)


class RestError(Exception):
    """The API could not be read; the message says why.

    Attributes:
        may_pass: whether a later try may succeed.
        setting: the API setting to change, if a limit of the settings was reached; else empty.
    """

    may_pass = False

    def __init__(self, message: str, *, setting: str = "") -> None:
        super().__init__(message)
        self.setting = setting


class RestUnavailable(RestError, ConnectionError):
    """The API did not answer properly despite all retries; later it may."""

    may_pass = True


class RestRefused(RestError):
    """The API refused, and would refuse again: a wrong key, a wrong address.

    Attributes:
        may_be_the_place: whether the cause may only be that the API no longer knows the page.
    """

    def __init__(self, message: str, *, may_be_the_place: bool = False, setting: str = "") -> None:
        super().__init__(message, setting=setting)
        self.may_be_the_place = may_be_the_place


# -------------------------------------------------------------------------------------------------------- limits


@dataclass
class Budget:
    """At most `requests` requests in any span of `seconds`; one more waits until the oldest has left the span.

    A request counts from its end on: a server that counts from its arrival then never sees more, however long the
    request was in transit.
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
        """How many requests may be sent without a wait."""
        while self._ended and self._ended[0] + self.seconds <= self.clock():
            self._ended.popleft()
        return self.requests - len(self._ended)


TRANSIENT = frozenset({202, 408, 425, 429})
"""The statuses below 500 that are worth a retry; 202 says that the answer is still being prepared."""

SAME_PAGES = 4
"""How many identical pages in a row stop a pull: the API probably ignores the page parameter."""

LARGEST_ERROR = 64 * 1024
"""Maximum bytes of the answer to a failed request; the text of a larger one is ignored."""

_BACKOFF = tenacity.wait_random_exponential(multiplier=0.5, max=60)
"""The wait if the server does not ask for one: up to 0.5 s, then up to twice that each time, at most a minute. It is
random, so that clients that fail together do not return together (Brooker, "Exponential Backoff and Jitter", 2015)."""

_UNIX_TIMES = 1_000_000_000  # a larger number is a Unix time, not a wait of 31 years


class _TryAgain(Exception):
    """An answer that is worth a retry; `after` is how many seconds the server asks to wait, if it says."""

    def __init__(self, problem: str, after: float | None = None) -> None:
        super().__init__(problem)
        self.after = after


def retry_after(said: str, now: datetime) -> float | None:
    """How many seconds `Retry-After` asks to wait, given as seconds or as a date (RFC 9110); None if it is neither."""
    if said.strip().isdecimal():
        return float(said)
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())


# ----------------------------------------------------------------------------------------------------------- the key

for _name in ("httpx", "httpcore"):  # they log whole addresses, and headers that the server sends
    logging.getLogger(_name).setLevel(logging.WARNING)

_LONG_KEY = 8
"""Minimum length of a key to search for within words: a shorter one may occur there by chance."""


class _Key:
    """The key; finds it in what the API says, and removes it."""

    def __init__(self, key: SecretStr) -> None:
        self.secret = key.get_secret_value().strip()
        if not (self.secret and self.secret.isascii() and self.secret.isprintable()):  # httpx would show it
            raise RestRefused("the key is empty, or holds characters that cannot stand in a header")
        is_long = len(self.secret) >= _LONG_KEY
        pattern = re.escape(self.secret) if is_long else rf"(?<!\w){re.escape(self.secret)}(?!\w)"
        self._pattern = re.compile(pattern, re.IGNORECASE)
        self._sent = {self.secret.encode(), quote(self.secret, safe="").encode()} if is_long else set()

    def out_of_records(self, records: list[msgspec.Raw], content: bytes) -> list[msgspec.Raw]:
        """The records of a body without the key: some APIs write it into addresses there, and records are kept."""
        for sent in self._sent:
            if sent in content:
                records = [msgspec.Raw(bytes(record).replace(sent, b"[the key]")) for record in records]
        return records

    def stands_in(self, text: str) -> bool:
        """Whether a text holds the key, verbatim or encoded as in addresses and HTML."""
        return any(self._pattern.search(one) for one in (text, unquote_plus(text), unescape(text)))

    def without(self, text: str) -> str:
        """A text with the key replaced."""
        text = self._pattern.sub("[the key]", text)
        return "[a text that holds the key]" if self.stands_in(text) else text

    def out_of(self, place: Place) -> Place:
        """A place without the key as a parameter of its address: each request sends the key anyway.

        Raises:
            RestRefused: the place holds the key elsewhere.
        """
        if "url" in place:
            url = httpx.URL(place["url"])
            kept = [(name, value) for name, value in url.params.multi_items() if value != self.secret]
            if len(kept) < len(url.params.multi_items()):
                place = {"url": str(url.copy_with(params=kept))}
        if any(self.stands_in(part) for part in place.values()):
            raise RestRefused("the API writes the key into the address of its next page, which would be kept")
        return place


# -------------------------------------------------------------------------------------------------------- client


@dataclass(frozen=True)
class Page:
    """The records of a page, each a line of JSON; the page's place; and the next page's place."""

    records: list[msgspec.Raw]
    place: Place
    next: Place | None


@dataclass(frozen=True)
class _Fetched:
    url: httpx.URL
    status: int
    headers: httpx.Headers
    content: bytes
    following: str | None
    charset: str | None


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted: to read them takes 20 ms, which is as long as many a pull."""
    return httpx.create_ssl_context()


class RestClient:
    """Reads an endpoint page by page. It needs the memory of one page.

    Args:
        patience_seconds: how long to try for a page, including all waits, also those that the server asks for.
        timeout_seconds: how long to wait for a connection, or for a part of an answer.
        pull_minutes: how long a reading of pages may take.
        page_mb: how large a page may be, uncompressed.
        empty_pages: how many pages without records in a row end the pull with an error.

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
        pull_minutes: float = 240.0,
        page_mb: float = 100.0,
        empty_pages: int = 100,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._key = _Key(key)
        self._endpoint, self.budget, self._sleep = endpoint, budget, sleep
        self._patience_seconds, self._timeout_seconds = patience_seconds, timeout_seconds
        self._pull_minutes, self._page_mb, self._empty_pages = pull_minutes, page_mb, empty_pages
        # Only these encodings: their decoders hold what one piece of the answer unpacks to, which is bounded.
        headers = {**endpoint.headers, "Accept-Encoding": ", ".join(_ENCODINGS)}
        if not endpoint.key_parameter:
            headers[endpoint.key_header] = endpoint.key_prefix + self._key.secret
        self._client = httpx.Client(base_url=url, headers=headers, timeout=timeout_seconds, verify=_trusted())
        self._address = f"{url.rstrip('/')}/{endpoint.path.lstrip('/')}"
        self._ends_at = math.inf
        self.tries = 0

    def __enter__(self) -> "RestClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def pages(self, place: Place | None = None, parameters: Mapping[str, str] | None = None) -> Iterator[Page]:
        """Yields the pages from a place on (by default the first), each as soon as it is fetched.

        Args:
            parameters: filters of this reading, in addition to the endpoint's.

        Raises:
            RestRefused: the API refused for good.
            RestUnavailable: it did not answer within the time limit of a page, or of the pull.
        """
        following: Place | None = self._endpoint.pagination.first() if place is None else place
        been: dict[frozenset[tuple[str, str]], int] = {}
        ends, same, empty = (b"", b""), 0, 0
        self._ends_at = time.monotonic() + self._pull_minutes * 60
        while following is not None:
            at = following
            answer = self._asked_until_it_answers(at, parameters or {})
            if answer.records:
                before, ends, empty = ends, (bytes(answer.records[0]), bytes(answer.records[-1])), 0
                same = same + 1 if ends == before else 1
                if same == SAME_PAGES:
                    raise RestRefused(f"{_shown(answer.url)} gave one page {same} times; is the pagination the API's?")
                # Some APIs use one cursor for all pages and remember how far it was read: that is no circle.
                here, page = frozenset(at.items()), hash((len(answer.records), *ends))
                if been.get(here) == page:
                    raise RestRefused(f"the pages of {self._address} lead in a circle")
                been[here] = page
            else:
                empty += 1
            following = self._following(at, answer)
            if not answer.records and following == at:
                following = None  # an empty page that leads to itself
            if following is not None and empty >= self._empty_pages:
                raise RestRefused(
                    f"{self._address} gave {empty} pages one after the other without a record, and names a next one",
                    setting="empty_pages",
                )
            yield Page(answer.records, at, following)

    def _following(self, place: Place, answer: Answer) -> Place | None:
        try:
            following = self._endpoint.pagination.next(place, answer)
        except PaginationError as error:
            raise RestRefused(self._key.without(f"the answer of {_shown(answer.url)} {error}")) from None
        return None if following is None else self._key.out_of(following)

    def _asked_until_it_answers(self, place: Place, parameters: Mapping[str, str]) -> Answer:
        began = time.monotonic()
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            wait=_wait,
            stop=tenacity.stop_before_delay(min(self._patience_seconds, max(0.0, self._ends_at - began))),
            retry_error_callback=_give_up,
            sleep=self._sleep,
        )
        return retrying(self._ask, place, parameters, began)

    def _ask(self, place: Place, parameters: Mapping[str, str], began: float) -> Answer:
        with self.budget.request():
            self.tries += 1
            try:
                fetched = self._fetched_in_time(place, parameters, began)
            except httpx.DecodingError as error:
                raise _TryAgain(f"{self._address} answered with what is not encoded as it says") from error
            except httpx.TransportError as error:
                said = self._key.without(shown(f"{type(error).__name__}: {error}"))
                raise _TryAgain(f"{self._client.base_url} cannot be reached ({said})") from error
        return self._judged(fetched)

    # ------------------------------------------------------------------------------------------------ one request

    def _fetched_in_time(self, place: Place, parameters: Mapping[str, str], began: float) -> _Fetched:
        """An answer, if it arrives in full before its time is over.

        The client's timeout limits silence only: an answer that trickles in byte by byte would never reach it. So a
        separate thread reads, and is abandoned when the time is over; it ends when the client is closed.
        """
        patience = began + max(self._patience_seconds, self._timeout_seconds)
        left = min(patience, self._ends_at) - time.monotonic()
        if left <= 0 and self._ends_at <= patience:
            raise self._pull_is_over()
        done: SimpleQueue[_Fetched | Exception] = SimpleQueue()
        is_late = threading.Event()

        def fetch() -> None:
            try:
                done.put(self._fetch(place, parameters, is_late))
            except Exception as error:
                done.put(error)

        threading.Thread(target=fetch, name="rest", daemon=True).start()
        try:
            fetched = done.get(timeout=max(left, 0.0))
        except Empty:
            if self._ends_at <= patience:
                raise self._pull_is_over() from None
            waited = time.monotonic() - began
            raise RestUnavailable(
                f"{self._address} began an answer, and had not ended it after {waited:.0f} s",
                setting="patience_seconds",
            ) from None
        finally:
            is_late.set()
        if isinstance(fetched, Exception):
            raise fetched
        return fetched

    def _pull_is_over(self) -> RestUnavailable:
        return RestUnavailable(
            f"the pages of {self._address} did not end within {self._pull_minutes:g} minutes; what was fetched is "
            "kept, and the next pull goes on from there",
            setting="pull_minutes",
        )

    def _fetch(self, place: Place, parameters: Mapping[str, str], is_late: threading.Event) -> _Fetched:
        key = {self._endpoint.key_parameter: self._key.secret} if self._endpoint.key_parameter else {}
        if "url" in place:  # it holds all other parameters
            url = httpx.URL(place["url"]).copy_merge_params(key)
            request = self._client.build_request("GET", url)
        else:
            asked = {**self._endpoint.parameters, **parameters, **place, **key}
            request = self._client.build_request("GET", self._endpoint.path, params=asked)
        response = self._client.send(request, stream=True)
        try:
            content = self._content(response, is_late)
            following = response.links.get("next", {}).get("url")
            charset = response.charset_encoding
            return _Fetched(response.url, response.status_code, response.headers, content, following, charset)
        finally:
            response.close()

    def _content(self, response: httpx.Response, is_late: threading.Event) -> bytes:
        """The body, unpacked as it arrives, so that a body that unpacks to too much is never held in memory."""
        encodings = [one.strip().lower() for one in response.headers.get("Content-Encoding", "").split(",")]
        if len(encodings) > 1 or encodings[0] in _OTHER_ENCODINGS:
            raise httpx.DecodingError("an encoding that was not asked for")
        most = self._page_mb * 1_000_000 if response.is_success else LARGEST_ERROR
        parts, size = [], 0
        try:
            for part in response.iter_bytes():
                size += len(part)
                if size > most or is_late.is_set():
                    break
                parts.append(part)
        except httpx.DecodingError:
            if response.is_success:
                raise
            return b""  # the status says enough
        if size > most and response.is_success:
            raise RestRefused(
                f"{_shown(response.url)} answered with more than {self._page_mb:g} MB, unpacked; ask for smaller "
                "pages, or allow for more",
                setting="page_mb",
            )
        return b"" if size > most else b"".join(parts)

    # ------------------------------------------------------------------------------------------------ one answer

    def _judged(self, fetched: _Fetched) -> Answer:
        """The content of an answer.

        Raises:
            _TryAgain: the answer is unusable, but a retry may succeed.
            RestRefused: the answer is unusable, and a retry would not help.
        """
        where, endpoint = _shown(fetched.url), self._endpoint
        is_success = 200 <= fetched.status < 300
        if fetched.status == 204:
            return Answer(fetched.url, {}, [], fetched.following, is_nothing=True)
        if not is_success:
            self._judge_status(fetched, where)
        content = _as_utf8(fetched)
        try:
            members, records = _read(content, endpoint.records)
        except ValueError as error:
            raise _TryAgain(f"{where} answered with what is no JSON") from error
        except RecursionError as error:
            raise RestRefused(f"{where} answered with a record that is nested too deeply to be read") from error
        said = self._says(members)
        if self._is_rate_limit(members) or fetched.status in TRANSIENT:
            raise _TryAgain(f"{where} answered {fetched.status}{said}", self._asks_to_wait(fetched))
        if any(value is not None and is_set(value) for value in (member_at(members, path) for path in endpoint.errors)):
            raise RestRefused(f"{where} answered with an error{said}")
        if records is None:
            missing = f"no list named {endpoint.records!r}" if endpoint.records else "what is no list of records"
            keys = Answer(fetched.url, members, []).keys
            raise RestRefused(self._key.without(f"the answer of {where} holds {missing}; {keys}") + said)
        return Answer(fetched.url, members, self._key.out_of_records(records, content), fetched.following)

    def _judge_status(self, fetched: _Fetched, where: str) -> None:
        """Raises for a status other than success: _TryAgain if a retry may succeed, else RestRefused."""
        status, members = fetched.status, members_of(_as_utf8(fetched))
        # The server's own phrase is not repeated: it may hold the key.
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
        said, says = f"{where} answered {status} {phrase}".rstrip(), self._says(members)
        wait, limit = self._asks_to_wait(fetched), self._endpoint.rate_limit
        is_limit = self._is_rate_limit(members) or (
            status in limit.statuses
            and ("Retry-After" in fetched.headers or fetched.headers.get(limit.remaining, "").strip() == "0")
        )
        if is_limit or status in TRANSIENT or status >= 500:
            raise _TryAgain(said + says, wait)
        if status in (401, 403):
            raise RestRefused(f"{said}: the key is wrong, or may not read this{says}")
        if 300 <= status < 400:
            raise RestRefused(
                f"{said}: it is at another address now; redirects are not followed, as they would see the key"
            )
        raise RestRefused(said + says, may_be_the_place=400 <= status < 500)

    def _is_rate_limit(self, members: Members) -> bool:
        for path, values in self._endpoint.rate_limit.errors.items():
            value = member_at(members, path)
            if value is not None and bytes(value).strip().strip(b'"').decode(errors="replace") in values:
                return True
        return False

    def _asks_to_wait(self, fetched: _Fetched) -> float | None:
        """How many seconds the server asks to wait; None if it does not say."""
        now = datetime.now(UTC)
        wait = retry_after(fetched.headers.get("Retry-After", ""), now)
        if wait is None:
            reset = retry_after(fetched.headers.get(self._endpoint.rate_limit.reset, ""), now)
            wait = max(0.0, reset - now.timestamp()) if reset is not None and reset > _UNIX_TIMES else reset
        return wait

    def _says(self, members: Members) -> str:
        """What the API says of its error, as a text that ends a sentence: escaped, cut, and without the key."""
        found = []
        for path, value in names_in(members):
            text = bytes(value).strip()
            if _ERROR_NAMES.fullmatch(path) and is_set(value) and text[:1] not in (b"{", b"["):
                plain = str(json.loads(text)) if text[:1] == b'"' else text.decode(errors="replace")
                found.append(f"{shown(self._key.without(path), 80)}: {shown(self._key.without(plain))}")
        return f"; it says {', '.join(found[:4])}" if found else ""


_ENCODINGS = ("gzip", "deflate")
_OTHER_ENCODINGS = frozenset({"br", "zstd"})  # httpx unpacks these, too, if their libraries are installed

_ERROR_NAMES = re.compile(
    r"(errors?|fault|meta|status)(\.[^.]+){1,2}|(error|err)_?(message|msg|code|description|type)?|errors|message|msg|detail"
    r"|details|title|reason|fault|code",
    re.IGNORECASE,
)
"""Members of a body that say what went wrong."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def _read(content: bytes, path: str) -> tuple[Members, list[msgspec.Raw] | None]:
    """The members of a body, and the records that a path leads to; None if there is no such list.

    Raises:
        ValueError: the body is not JSON.
    """
    # A raw line end can only stand between two tokens: within a JSON string it is escaped as \n.
    line = content.replace(b"\n", b" ").replace(b"\r", b" ")
    try:
        return _split(line, path)
    except msgspec.ValidationError:
        return {}, None
    except msgspec.DecodeError:  # NaN, or half a character: that rejects its record later, not the page
        body = json.loads(line)
        held = _held(body, path)
        members = {name: _written(value) for name, value in body.items()} if isinstance(body, dict) else {}
        return members, [_written(record) for record in held] if isinstance(held, list) else None


def _split(line: bytes, path: str) -> tuple[Members, list[msgspec.Raw] | None]:
    if line.lstrip().startswith(b"["):
        return {}, None if path else _LIST.decode(line)
    members = _OBJECT.decode(line)
    held = member_at(members, path) if path else None
    is_list = held is not None and bytes(memoryview(held)[:64]).lstrip().startswith(b"[")
    return members, _LIST.decode(held) if is_list and held is not None else None


def _held(body: object, path: str) -> object:
    if not path:
        return body
    if not isinstance(body, dict):
        return None
    name, dot, rest = path.partition(".")
    return body[path] if path in body else _held(body.get(name), rest) if dot else None


def _written(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def _as_utf8(fetched: _Fetched) -> bytes:
    """A body in UTF-8, as JSON should be; the declared charset counts only if the body is not UTF-8."""
    content = fetched.content.removeprefix(codecs.BOM_UTF8)
    if fetched.charset and fetched.charset.lower() not in ("utf-8", "utf8") and not content.isascii():
        try:
            content.decode()
        except UnicodeDecodeError:
            with suppress(LookupError, UnicodeDecodeError):
                return content.decode(fetched.charset).encode()
    return content


def _wait(state: tenacity.RetryCallState) -> float:
    """The wait that the server asks for; the backoff if it asks for none, or for 0 s, as with a wrong clock."""
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
