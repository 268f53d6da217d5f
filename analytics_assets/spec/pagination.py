"""How one page of a JSON API leads to the next, and which page is the last.

A pagination says where the first page is and, for each answer, where the next page is; it sends no requests.
A page is the last one only by a rule that the spec names: a page of another shape is an error that shows its keys.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

from analytics_assets.foundation.plain_text import plain, shortened

if TYPE_CHECKING:
    import httpx

Place = Mapping[str, str]
"""Where a page is: the parameters that its request adds, or `{"url": …}`. It can be saved, and resumed from."""

Members = Mapping[str, msgspec.Raw]
"""The members of a JSON object by name, each as it was sent: numbers keep their digits."""


class PaginationError(Exception):
    """A page does not say what comes after it; the message continues "the answer of … "."""


# -------------------------------------------------------------------------------------------------- parts of a page

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NAMES_SHOWN = 20


def members_of(value: bytes | msgspec.Raw) -> Members:
    """The members of a JSON object; none if the value is not an object."""
    try:
        return _OBJECT.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return {}


def member_at(members: Members, path: str) -> msgspec.Raw | None:
    """The member that a path such as `paging.cursors.after` leads to; None if there is none.

    A name that itself holds dots, such as `@odata.nextLink`, is found, too.
    """
    if path in members:
        return members[path]
    name, dot, rest = path.partition(".")
    return member_at(members_of(members[name]), rest) if dot and name in members else None


def names_in(members: Members, depth: int = 3) -> Iterator[tuple[str, msgspec.Raw]]:
    """The path to each member that is not an object, and the member; objects at the deepest level are not opened."""
    for name, value in members.items():
        inside = members_of(value) if depth > 1 else {}
        if inside:
            yield from ((f"{name}.{rest}", member) for rest, member in names_in(inside, depth - 1))
        else:
            yield name, value


def is_set(value: msgspec.Raw) -> bool:
    """Whether a value says something: it is not null, false, 0, or empty."""
    text = bytes(value).strip()
    if text in (b"null", b"false", b'""'):
        return False
    if text[:1] in (b"{", b"["):
        return bool(text[1:-1].strip())
    return not _ZERO.fullmatch(text)


_ZERO = re.compile(rb"-?0(\.0*)?([eE][+-]?\d+)?")


def shown(text: str, longest: int = 200) -> str:
    """A text from the API, cut, on one line, and safe for a terminal."""
    return shortened(plain(text), longest)


@dataclass(frozen=True)
class Answer:
    """The API's answer to a request.

    Attributes:
        url: the requested address.
        members: the members of the body; none if the body is the list of records itself.
        records: the records, as JSON.
        following: the link to the next page in the Link header.
        is_nothing: whether the status is 204, which has no body.
    """

    url: "httpx.URL"
    members: Members
    records: list[msgspec.Raw]
    following: str | None = None
    is_nothing: bool = False

    @property
    def keys(self) -> str:
        """The names on the page, without values, as part of a sentence."""
        names = [shown(name, 80) for name, _ in names_in(self.members)]
        if not names:
            return "it has no keys"
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        return f"its keys are {', '.join(names[:_NAMES_SHOWN])}{more}"


# ------------------------------------------------------------------------------------------------------ which is last


class Pagination(Protocol):
    """How one page leads to the next."""

    def first(self) -> Place:
        """Where the first page is."""

    def next(self, place: Place, answer: Answer) -> Place | None:
        """Where the page after this one is; None after the last.

        Raises:
            PaginationError: the page does not say.
        """


@dataclass(frozen=True)
class PageNumbers:
    """Pages 1, 2, 3, … up to the first page without records.

    An empty page is the only end that can be trusted: totals change while pages are read.

    Attributes:
        start: the number of the first page.
    """

    parameter: str = "page"
    start: int = 1

    def first(self) -> Place:
        """The first number."""
        return {self.parameter: str(self.start)}

    def next(self, place: Place, answer: Answer) -> Place | None:
        """The page with the next number."""
        return {self.parameter: str(int(place[self.parameter]) + 1)} if answer.records else None


@dataclass(frozen=True)
class Offset:
    """Each page is requested by the number of records before it, up to the first page without records."""

    parameter: str = "offset"

    def first(self) -> Place:
        """An offset of 0."""
        return {self.parameter: "0"}

    def next(self, place: Place, answer: Answer) -> Place | None:
        """The offset plus the number of records on this page, however many were requested."""
        passed = int(place[self.parameter]) + len(answer.records)
        return {self.parameter: str(passed)} if answer.records else None


@dataclass(frozen=True)
class Cursor:
    """Each page's body holds the cursor of the next.

    The last page says null, false, 0 or an empty text instead. Status 204 is the end, too. A page may be empty and
    still name the next one.

    Attributes:
        parameter: the parameter that requests a page by its cursor.
        member: the path to the cursor in the body, with dots: `paging.cursors.after`.
        more: the member that says whether there is a next page, if the cursor does not: `paging.has_more`.
        absent_ends: whether the last page may lack the member.
    """

    parameter: str = "cursor"
    member: str = "next_cursor"
    more: str = ""
    absent_ends: bool = False

    def first(self) -> Place:
        """No cursor."""
        return {}

    def next(self, place: Place, answer: Answer) -> Place | None:
        """The page with the cursor that this one names."""
        if self.more and not _told(answer, self.more, self.absent_ends):
            return None
        told = _told(answer, self.member, self.absent_ends and not self.more)
        if told is None and self.more:
            raise PaginationError(f"says in {self.more} that there are more pages, and not in {self.member} where")
        return {self.parameter: _text(told, self.member)} if told else None


@dataclass(frozen=True)
class LastRecord:
    """Each page begins after the last record of the page before; a member of the body says whether there are more.

    Attributes:
        parameter: the parameter that requests the records after a given one.
        member: the member of a record that identifies it.
        more: the member of the body that says whether there is a next page.
        absent_ends: whether the last page may lack that member.
    """

    parameter: str = "starting_after"
    member: str = "id"
    more: str = "has_more"
    absent_ends: bool = False

    def first(self) -> Place:
        """No parameter."""
        return {}

    def next(self, place: Place, answer: Answer) -> Place | None:
        """The page after the last record of this one."""
        if not _told(answer, self.more, self.absent_ends):
            return None
        name = member_at(members_of(answer.records[-1]), self.member) if answer.records else None
        if name is None or not is_set(name):
            raise PaginationError(f"says in {self.more} that there are more pages, and has no last {self.member}")
        return {self.parameter: _text(name, self.member)}


@dataclass(frozen=True)
class BodyLink:
    """Each page's body holds the address of the next; the last page says null, false or an empty text instead.

    Attributes:
        member: the path to the address in the body, with dots: `paging.next`.
        absent_ends: whether the last page may lack the member.
    """

    member: str = "next"
    absent_ends: bool = False

    def first(self) -> Place:
        """The address itself."""
        return {}

    def next(self, place: Place, answer: Answer) -> Place | None:
        """The address that the page names."""
        told = _told(answer, self.member, self.absent_ends)
        return _followed(answer, _text(told, self.member)) if told else None


@dataclass(frozen=True)
class LinkHeader:
    """Each page's Link header holds the address of the next (RFC 8288); the last page has no `next` there."""

    def first(self) -> Place:
        """The address itself."""
        return {}

    def next(self, place: Place, answer: Answer) -> Place | None:
        """The address that the header calls `next`."""
        if answer.following is not None:
            return _followed(answer, answer.following)
        if led := _leads(answer, _LEADS_ON):
            raise PaginationError(f"has no Link header to a next page, but {led}: is the pagination the API's?")
        return None


def _told(answer: Answer, path: str, absent_ends: bool) -> msgspec.Raw | None:
    """What a page says of the next one; None if it says that there is none.

    Raises:
        PaginationError: the page has another shape.
    """
    if answer.is_nothing:
        return None
    value = member_at(answer.members, path)
    if value is not None:
        return value if is_set(value) else None
    # The last page may lack the member. But a page that leads on in another way is of a shape unknown to the spec.
    parent = path.rpartition(".")[0]
    is_known = bool(parent) and member_at(answer.members, parent) is not None
    if absent_ends or not answer.records:
        led = _leads(answer, _LEADS_ON_SURELY if is_known else _LEADS_ON)
        if not led:
            return None
    raise PaginationError(f"does not hold {path}, which would say whether there is a next page; {answer.keys}")


_LEADS_ON_SURELY = re.compile(r"next|more|continu", re.IGNORECASE)
_LEADS_ON = re.compile(rf"{_LEADS_ON_SURELY.pattern}|cursor|after|scroll|bookmark|page_?token", re.IGNORECASE)
"""Names of members that lead to a next page; the first pattern is for a page that has the parent of the known member.
There a cursor may stand on all pages, as Meta's `paging.cursors.after` does."""


def _leads(answer: Answer, names: re.Pattern[str]) -> str:
    """The first member that has such a name and is set, as part of a sentence; empty if there is none."""
    found = (name for name, value in names_in(answer.members) if names.search(name) and is_set(value))
    first = next(found, None)
    return f"its body holds {shown(first, 80)}" if first else ""


def _text(value: msgspec.Raw, path: str) -> str:
    """A cursor or address in the form that is sent back: a text, or a number with all its digits."""
    sent = bytes(value).strip()
    if sent[:1] == b'"':
        text = str(json.loads(sent))
        if any("\ud800" <= c <= "\udfff" for c in text):
            raise PaginationError(f"holds half a character in {path}, which cannot be sent back")
        return text
    if sent == b"true" or sent[:1] in (b"{", b"["):
        kind = {b"t": "true", b"{": "an object", b"[": "a list"}[sent[:1]]
        raise PaginationError(f"holds {kind} in {path}, which should say where the next page is")
    return sent.decode()


def _followed(answer: Answer, link: str) -> Place:
    """The place that a link leads to.

    Raises:
        PaginationError: it leads to another server, or is not an address.
    """
    from httpx import InvalidURL  # the definitions are loaded without it

    try:
        url = answer.url.join(link).copy_with(username="", password="", fragment=None)
        server = (url.scheme, url.host, url.port)
    except (InvalidURL, ValueError) as error:
        raise PaginationError("leads to what is no address") from error
    if server != (answer.url.scheme, answer.url.host, answer.url.port):
        raise PaginationError(f"leads to another server, {shown(url.host, 80)}, which must not see the key")
    return {"url": str(url)}
