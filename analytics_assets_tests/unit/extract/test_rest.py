"""The client of JSON APIs, against a real server on loopback that does what real APIs do."""

import codecs
import gzip
import itertools
import json
import random
import re
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape, unescape
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analytics_assets.defs.campaigns.api import CampaignsApi, parse_faults, served
from analytics_assets.extract.rest import Budget, RestClient, RestError, RestRefused, RestUnavailable, retry_after
from analytics_assets.spec.extract import Endpoint, RateLimit
from analytics_assets.spec.pagination import Answer, BodyLink, Cursor, LinkHeader, PageNumbers, Pagination, Place
from analytics_assets_tests.support.pages import Answers, Said, bytes_served
from analytics_assets_tests.support.rest import ALL_PAGINATIONS, PAGINATIONS, Sleeps, client, id_of, records


def ids(api: CampaignsApi, pagination: Pagination, **parameters: str) -> list[str]:
    """What a client reads of an API."""
    with served(api) as url, client(url, pagination) as reader:
        return [id_of(record) for page in reader.pages(parameters=parameters) for record in page.records]


# --------------------------------------------------------------------------------------------------- pagination


@ALL_PAGINATIONS
@pytest.mark.parametrize("count", [0, 1, 10, 37])
def test_all_pages_are_read_once_each(pagination: Pagination, count: int) -> None:
    assert ids(CampaignsApi(records(count)), pagination) == [record["id"] for record in records(count)]


@ALL_PAGINATIONS
def test_a_filter_stands_on_every_page_and_includes_the_second_that_it_names(pagination: Pagination) -> None:
    since = records(37)[20]["last_updated_at"]
    api = CampaignsApi(records(37))
    assert records(37)[18]["last_updated_at"] == since, "it is a second with several records"
    assert ids(api, pagination, last_updated_at=since) == [record["id"] for record in records(37)[18:]]
    assert {request["last_updated_at"] for request in api.requests} == {since}


def test_a_reading_goes_on_from_any_page() -> None:
    for pagination in PAGINATIONS:
        with served(CampaignsApi(records(37))) as url, client(url, pagination) as reader:
            second = next(reader.pages()).next
            rest = [id_of(record) for page in reader.pages(second) for record in page.records]
        assert rest == [record["id"] for record in records(37)[10:]]


@pytest.mark.parametrize("pagination", PAGINATIONS[1:], ids=lambda one: type(one).__name__)
def test_an_empty_page_that_names_the_next_one_is_no_end(pagination: Pagination) -> None:
    api = CampaignsApi(records(37), faults=parse_faults(["empty@2"]))
    assert ids(api, pagination) == [record["id"] for record in records(37)]
    assert len(api.requests) == 5


@dataclass
class OnePage:
    """Serves one body, whatever is asked."""

    body: str | bytes = '{"data": [{"id": "1"}], "next_cursor": null}'
    link: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def app(self) -> Starlette:
        async def page(request: Request) -> Response:
            link = {"Link": f'<{self.link}>; rel="next"'} if self.link else {}
            return Response(self.body, self.status, {**self.headers, **link})

        return Starlette(routes=[Route("/campaigns", page)])


def test_records_come_as_they_were_sent_each_as_one_line() -> None:
    sent = ['{"id": "1",\n\t"cost": 0.10000000000000000000001}', '{ "id" :"\\n é", "cost": 1e400 }', "null", "7"]
    for where, body in (
        ("", f"[{', '.join(sent)}]"),
        ("data", f'{{"total": 4,\r\n"data": [{",".join(sent)}]}}'),
        ("data.list", f'{{"data":{{"list" : [{",".join(sent)}\n] }} }}'),
    ):
        with (
            served(OnePage(body)) as url,  # type: ignore[arg-type]
            client(url, LinkHeader(), endpoint={"records": where}) as reader,
        ):
            (page,) = reader.pages()
        assert [bytes(record).decode() for record in page.records] == [sent[0].replace("\n", " "), *sent[1:]]


@pytest.mark.parametrize("odd", ['"\\ud800 is half a character"', "NaN", "-Infinity"])
def test_what_only_some_call_json_costs_no_page(odd: str) -> None:
    records = f'[{{"id": {odd}}}, {{"id": "2"}}]'
    for where, body in (
        ("", records),
        ("data", f'{{"data": {records}, "next_cursor": null}}'),
        ("data.list", f'{{"data": {{"list": {records}}}, "next_cursor": null}}'),
    ):
        with (
            served(OnePage(body)) as url,  # type: ignore[arg-type]
            client(url, Cursor() if where else LinkHeader(), endpoint={"records": where}) as reader,
        ):
            (page,) = reader.pages()
        assert [bytes(record).decode() for record in page.records] == [f'{{"id": {odd}}}', '{"id": "2"}']


@pytest.mark.parametrize("body", ['{"data": null}', '{"data": {}}', '{"d": "no"}', "[]", '"data"', "7", "null"])
def test_an_answer_without_the_list_of_records_is_refused(body: str) -> None:
    with (
        served(OnePage(body)) as url,  # type: ignore[arg-type]
        client(url, Cursor()) as reader,
        pytest.raises(RestRefused, match="holds no list named 'data'"),
    ):
        list(reader.pages())


@pytest.mark.parametrize(
    ("link", "error", "said"),
    [
        ("https://elsewhere.example/campaigns?page=2", RestRefused, "another server, elsewhere.example"),
        ("/campaigns?page_size=10", RestRefused, "lead in a circle"),
        ("/campaigns?page=2&of=a-demo-key", RestRefused, "writes the key into the address"),
        ("/campaigns/demo%2Dkey?page=2", RestRefused, "writes the key into the address"),
        ("http://[::1", RestRefused, "leads to what is no address"),
        ("https://xn--/", RestRefused, "leads to what is no address"),
        ("javascript:alert(1)", RestRefused, "another server"),
    ],
)
def test_a_link_that_leads_astray_is_not_followed(link: str, error: type[Exception], said: str) -> None:
    with (
        served(OnePage(link=link)) as url,  # type: ignore[arg-type]
        client(url, LinkHeader(), key="demo-key") as reader,
        pytest.raises(error, match=said) as raised,
    ):
        list(reader.pages())
    assert "demo-key" not in str(raised.value)


def test_an_api_that_gives_one_page_for_ever_is_refused() -> None:
    with (
        served(OnePage()) as url,  # type: ignore[arg-type]
        client(url, PageNumbers()) as reader,
        pytest.raises(RestRefused, match="gave one page 4 times; is the pagination the API's"),
    ):
        list(reader.pages())


# ------------------------------------------------------------------------------------------------ what goes wrong


@ALL_PAGINATIONS
@pytest.mark.parametrize("fault", ["408", "425", "429", "500", "502", "503", "504", "599", "cut", "garbage", "silent"])
def test_what_may_pass_is_asked_again_and_no_record_is_lost_or_doubled(pagination: Pagination, fault: str) -> None:
    api = CampaignsApi(records(37), faults=parse_faults([f"{fault}@1,3,4"]), silence_seconds=0.4)
    with served(api) as url, client(url, pagination, timeout_seconds=0.2 if fault == "silent" else 5) as reader:
        read = [id_of(record) for page in reader.pages() for record in page.records]
    assert read == [record["id"] for record in records(37)]
    pages = 5 if isinstance(pagination, PageNumbers) else 4
    assert len(api.requests) == pages + 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_what_will_not_pass_fails_at_once_and_says_so(status: int) -> None:
    api = CampaignsApi(records(37), faults=parse_faults([f"{status}@2"]))
    with served(api) as url, client(url, Cursor()) as reader, pytest.raises(RestRefused, match=f"answered {status}"):
        list(reader.pages())
    assert len(api.requests) == 2


def test_what_the_server_writes_beside_a_status_is_not_repeated_since_it_may_be_the_key() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(b"HTTP/1.1 403 bad demo-key\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with (
            client(url, Cursor(), key="demo-key") as reader,
            pytest.raises(RestRefused, match="403 Forbidden") as raised,
        ):
            list(reader.pages())
    assert "demo-key" not in str(raised.value)


def test_a_redirect_is_not_followed_and_said() -> None:
    api = OnePage()
    api.status, api.headers = 302, {"Location": "https://elsewhere.example/"}
    with (
        served(api) as url,  # type: ignore[arg-type]
        client(url, Cursor()) as reader,
        pytest.raises(RestRefused, match="302 Found: it is at another address now; redirects are not followed"),
    ):
        list(reader.pages())


def test_a_circle_of_pages_is_refused() -> None:
    api = CampaignsApi(records(37))
    with served(api) as url, client(url, _InACircle()) as reader, pytest.raises(RestRefused, match="lead in a circle"):
        list(reader.pages())
    assert len(api.requests) == 4, "the page that is there again is asked for once more, and holds the same"


class _InACircle(Cursor):
    def next(self, place: Place, answer: Answer) -> Place | None:
        return {"cursor": "20" if place.get("cursor") == "10" else "10"}


def test_json_that_is_nested_without_end_is_refused_with_a_sentence() -> None:
    with (
        served(OnePage('{"data": [' + "[" * 5_000 + "]" * 5_000 + "]}")) as url,  # type: ignore[arg-type]
        client(url, Cursor()) as reader,
        pytest.raises(RestRefused, match="a record that is nested too deeply"),
    ):
        list(reader.pages())


@pytest.mark.parametrize("refusal", [401, 403])
def test_a_wrong_key_is_refused_once_and_not_shown(refusal: int) -> None:
    api = CampaignsApi(records(1), refusal=refusal)
    with (
        served(api) as url,
        client(url, Cursor(), key="a-wrong-secret") as reader,
        pytest.raises(RestRefused, match="the key is wrong, or may not read this") as raised,
    ):
        list(reader.pages())
    assert len(api.requests) == 1
    assert "a-wrong-secret" not in str(raised.value)


@pytest.mark.parametrize("key", ["", "  ", "line\nbreak-secret", "clé-secret", "nul\0-secret"])
def test_a_key_that_cannot_stand_in_a_header_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(RestRefused, match="the key is empty, or holds characters") as raised:
        client("http://127.0.0.1:9", Cursor(), key=key)
    assert "secret" not in str(raised.value)


def test_a_server_that_is_not_there_is_asked_until_patience_ends() -> None:
    sleeps = Sleeps()
    with (
        client("http://127.0.0.1:9", Cursor(), patience_seconds=0.5, sleep=sleeps) as reader,
        pytest.raises(RestUnavailable, match=r"http://127.0.0.1:9/? cannot be reached .* given up after \d+ tr"),
    ):
        list(reader.pages())


# -------------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(("form", "least"), [("seconds", 1), ("date", 0)])
def test_the_server_says_how_long_to_wait_and_so_long_is_waited(form: str, least: float) -> None:
    sleeps = Sleeps()
    api = CampaignsApi(records(37), retry_after=form, faults=parse_faults(["429@2"]))
    with served(api) as url, client(url, Cursor(), sleep=sleeps) as reader:
        assert sum(len(page.records) for page in reader.pages()) == 37
    assert len(sleeps) == 1
    assert least <= sleeps[0] <= 1


def test_retry_after_is_seconds_or_a_date_of_any_zone() -> None:
    now = datetime(2026, 1, 6, 12, tzinfo=UTC)
    assert retry_after(" 120 ", now) == 120
    assert retry_after("Tue, 06 Jan 2026 12:00:30 GMT", now) == 30
    assert retry_after("Tue, 06 Jan 2026 14:00:30 +0200", now) == 30
    assert retry_after(format_datetime(now - timedelta(hours=1), usegmt=True), now) == 0
    assert [retry_after(said, now) for said in ("", "soon", "-5", "1.5", "٣")] == [None, None, None, None, 3]


@pytest.mark.parametrize("said", ["0", "Tue, 06 Jan 2015 12:00:30 GMT"])
def test_a_server_that_asks_for_no_wait_is_asked_no_faster_than_others(said: str) -> None:
    sleeps = Sleeps()
    api = OnePage(status=503, headers={"Retry-After": said})
    with (
        served(api) as url,  # type: ignore[arg-type]
        client(url, Cursor(), patience_seconds=0.6, sleep=sleeps) as reader,
        pytest.raises(RestUnavailable),
    ):
        list(reader.pages())
    assert sleeps and all(wait > 0 for wait in sleeps)


def test_a_server_that_asks_for_more_than_patience_is_not_waited_for() -> None:
    sleeps = Sleeps()
    api = CampaignsApi(records(1), limit=1, limit_seconds=3_600)
    with (
        served(api) as url,
        client(url, PageNumbers(), patience_seconds=60, sleep=sleeps) as reader,
        pytest.raises(RestUnavailable, match=r"answered 429 .* given up after 1 try .* 3600 s later"),
    ):
        list(reader.pages())
    assert sleeps == []


def test_backoff_doubles_and_stays_below_a_minute() -> None:
    sleeps = Sleeps()
    api = CampaignsApi(records(1), faults={number: "503" for number in range(1, 13)})
    random.seed(1)
    with served(api) as url, client(url, Cursor(), sleep=sleeps) as reader:
        list(reader.pages())
    assert len(sleeps) == 12
    assert all(0 <= wait <= min(60, 0.5 * 2**number) for number, wait in enumerate(sleeps))
    assert len(set(sleeps)) == 12
    assert max(sleeps[:4]) < 8 < max(sleeps[4:]), "they grow"


class Clock:
    """A clock that only sleeping and working move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(
    st.integers(1, 20),
    st.floats(0.5, 60),
    st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), min_size=1, max_size=120),
)
def test_no_span_sees_more_requests_than_the_budget_wherever_they_are_counted(
    allowed: int, seconds: float, works: list[tuple[float, float]]
) -> None:
    clock = Clock()
    budget = Budget(allowed, seconds, clock, clock.sleep)
    arrivals = []
    for on_its_way, answered in works:
        with budget.request():
            clock.now += on_its_way
            arrivals.append(clock.now)
            clock.now += answered
    for number in range(len(arrivals) - allowed):
        assert arrivals[number + allowed] - arrivals[number] >= seconds * (1 - 1e-9)


def test_a_budget_is_used_up_and_not_more() -> None:
    """Against a server that counts: of what is allowed in 3 s at least 95 % is asked for, and nothing is refused."""
    api = CampaignsApi(records(37), limit=20, limit_seconds=0.5)
    budget = Budget(20, 0.5)
    endpoint = Endpoint("campaigns", Cursor(), parameters={"page_size": "10"})
    with served(api) as url, RestClient(url, SecretStr("demo"), endpoint, budget) as reader:
        for _ in range(25):
            list(reader.pages())
    assert len(api.requests) == 100
    assert api.refused == 0


# --------------------------------------------------------------------------------------- rate limits of other kinds

OK = {"data": [{"id": "1"}], "next_cursor": None}


def answered(*said: object, endpoint: Mapping[str, Any] = {}, **of_client: Any) -> tuple[list[str], Sleeps]:
    """The ids of what is read of an API that gives some answers, and how long was waited between them."""
    sleeps, api = Sleeps(), Answers(said)
    with served(api) as url, client(url, Cursor(), sleep=sleeps, endpoint=endpoint, **of_client) as reader:  # type: ignore[arg-type]
        return [id_of(record) for page in reader.pages() for record in page.records], sleeps


def refused(*said: object, error: type[RestError] = RestRefused, **of_client: Any) -> str:
    """What is said of an API that gives some answers."""
    with pytest.raises(error) as raised:
        answered(*said, **of_client)
    return str(raised.value)


LIMIT = {"message": "You have exceeded a secondary rate limit"}


def test_a_403_that_asks_to_wait_is_waited_for() -> None:
    soon = f"{datetime.now(UTC).timestamp() + 90:.0f}"
    for headers, least in (
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "7", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": soon}, 7.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": soon}, 80.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "12"}, 12.0),
        ({"X-RateLimit-Remaining": "0"}, 0.0),
    ):
        ids, sleeps = answered(Said(LIMIT, 403, headers), OK)
        assert ids == ["1"]
        assert len(sleeps) == 1 and least <= sleeps[0] <= least + 10


def test_a_403_that_is_no_limit_is_refused_and_what_the_api_says_is_shown() -> None:
    said = refused(Said({"error": {"code": 7, "message": "no right to read ads"}}, 403, {"X-RateLimit-Remaining": "4"}))
    assert said.endswith(
        "answered 403 Forbidden: the key is wrong, or may not read this; "
        "it says error.code: 7, error.message: no right to read ads"
    )
    said = refused(Said(LIMIT, 403, {"Retry-After": "1"}), endpoint={"rate_limit": RateLimit(statuses=())})
    assert "it says message: You have exceeded a secondary rate limit" in said


@pytest.mark.parametrize("status", [200, 400, 403])
def test_a_limit_that_the_body_tells_is_waited_for_where_the_spec_says_so(status: int) -> None:
    body = {"ok": False, "error": {"type": "limit", "code": 17, "message": "too often"}}
    spec = {"rate_limit": RateLimit(errors={"error.code": ("4", "17")})}
    ids, sleeps = answered(Said(body, status, {"Retry-After": "3"}), OK, endpoint=spec)
    assert (ids, sleeps) == (["1"], [3.0])
    assert answered({"data": [], "next_cursor": None, **body}, OK, endpoint=spec)[0] == ["1"], "an empty list is no end"
    said = refused(Said(body, status))
    assert "it says error.type: limit, error.code: 17, error.message: too often" in said


def test_an_error_with_status_200_is_no_page_whatever_stands_beside_it() -> None:
    for body in ({**OK, "error": "internal"}, {**OK, "errors": [{"message": "half of it"}]}, {"error": "ratelimited"}):
        assert "answered with an error" in refused(body)
    assert answered({**OK, "error": None, "errors": []})[0] == ["1"]
    assert answered({**OK, "errors": ["a warning"]}, endpoint={"errors": ()})[0] == ["1"]
    code = {"errors": ("code",), "records": "data.list"}
    body = {"code": 0, "data": {"list": [{"id": "1"}]}, "next_cursor": None}
    assert answered(body, endpoint=code)[0] == ["1"]
    assert "it says code: 40002, message: no such account" in refused(
        {"code": 40002, "message": "no such account", "data": {}}, endpoint=code
    )


def test_what_the_api_says_is_escaped_and_cut_and_never_the_key() -> None:
    key = "a-key-that-Nobody/may-see"
    for shown in (key, key.upper(), quote(key, safe=""), escape(f"<{key}>"), f"Bearer {key}"):
        for status in (200, 403):
            body = {"error": {"message": f"\x1b[2J\n@channel {shown} is wrong {'x' * 999}", shown: shown}, shown: 1}
            said = refused(Said(body, status), key=key)
            assert key.lower() not in unquote(unescape(said)).lower()
            assert "\x1b" not in said and "\n" not in said and len(said) < 1_000
    cut = {"error": "y" * (200 - len(key) // 2) + key}
    assert key[:8] not in refused(cut, key=key), "half of the key is none, either"
    assert "it says error: [the key] is wrong" in refused({"error": "k is wrong"}, key="k")
    assert "it says error: ratelimited, keep calm" in refused({"error": "ratelimited, keep calm"}, key="k")


def test_a_limit_that_lasts_is_told_as_what_it_is() -> None:
    said = refused(Said(LIMIT, 403, {"Retry-After": "3600"}), error=RestUnavailable, patience_seconds=60)
    assert "answered 403 Forbidden; it says message: You have exceeded a secondary rate limit; given up after" in said


# -------------------------------------------------------------------------------------------- encodings and charsets


def test_what_is_not_encoded_as_it_says_is_asked_for_again() -> None:
    whole = json.dumps(OK).encode()
    packed = gzip.compress(whole)
    for body, encoding in (
        (whole, "gzip"), (whole, "deflate"), (packed[:-12], "gzip"), (packed[:20] + b"?" + packed[21:], "gzip"),
        (whole, "br"), (gzip.compress(packed), "gzip, gzip"), (packed, "identity"),
    ):  # fmt: skip
        ids, sleeps = answered(Said(body, headers={"Content-Encoding": encoding}), OK)
        assert (ids, len(sleeps)) == (["1"], 1)
    for body, encoding in ((packed, "gzip"), (packed, "GZIP"), (zlib.compress(whole), "deflate"), (whole, "utf-8")):
        assert answered(Said(body, headers={"Content-Encoding": encoding}))[1] == []
    said = refused(Said(whole, headers={"Content-Encoding": "gzip"}), error=RestUnavailable, patience_seconds=0)
    assert re.match(
        r"http://127.0.0.1:\d+/campaigns answered with what is not encoded as it says; given up after", said
    )
    assert "401 Unauthorized" in refused(Said(whole, 401, {"Content-Encoding": "gzip"})), "the status says enough"


def test_a_byte_order_mark_or_a_declared_charset_costs_nothing() -> None:
    text = '{"data": [{"id": "é"}], "next_cursor": null}'
    for body, charset in (
        (codecs.BOM_UTF8 + text.encode(), "utf-8"), (text.encode("latin-1"), "iso-8859-1"), (text.encode(), "latin-1"),
        (text.encode("utf-16"), "utf-16"), (text.encode(), "no-such-charset"),
    ):  # fmt: skip
        assert answered(Said(body, headers={"Content-Type": f"application/json; charset={charset}"}))[0] == ["é"]


# -------------------------------------------------------------------------------------------------- a reading ends


def bomb(megabytes: int) -> bytes:
    """A page that unpacks to so many megabytes, a thousandth of it packed."""
    packer = zlib.compressobj(wbits=31)
    parts = [packer.compress(b'{"data": ["')]
    parts += [packer.compress(b"x" * 1_000_000) for _ in range(megabytes)]
    return b"".join([*parts, packer.compress(b'"], "next_cursor": null}'), packer.flush()])


def test_an_answer_that_unpacks_to_too_much_is_refused_before_it_is_held() -> None:
    packed = bomb(300)
    assert len(packed) < 320_000
    tracemalloc.start()
    said = refused(Said(packed, headers={"Content-Encoding": "gzip"}), page_mb=20)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "/campaigns answered with more than 20 MB, unpacked; ask for smaller pages, or allow for more" in said
    assert most < 200_000_000
    large = {"data": ["x" * 1_000_000], "next_cursor": None}
    assert "more than 0.5 MB" in refused(large, page_mb=0.5)
    assert len(answered({**OK, "note": "x" * 1_000_000})[0]) == 1
    assert "answered 404 Not Found" in refused(Said(packed, 404, {"Content-Encoding": "gzip"}))


def trickled(*parts: bytes) -> Callable[[socket.socket], None]:
    """Sends all parts at once, and then the last one for ever, a tenth of a second after the other."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(b"".join(parts))
        while True:
            connection.sendall(parts[-1])
            time.sleep(0.1)

    return speak


TRICKLES = {
    "the body": (b'HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n{"data": [', b" "),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a header": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
    "other answers before it": (b"", b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"),
    "the body of an error": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 999999\r\n\r\n", b" "),
}


@pytest.mark.parametrize("parts", TRICKLES.values(), ids=TRICKLES)
def test_a_server_that_trickles_meets_the_patience_that_is_had_for_a_page(parts: tuple[bytes, ...]) -> None:
    with (
        bytes_served(trickled(*parts)) as url,
        client(url, Cursor(), patience_seconds=0.6, timeout_seconds=0.5) as reader,
        pytest.raises(RestUnavailable, match=r"/campaigns began an answer, and had not ended it after 1 s") as raised,
    ):
        list(reader.pages())
    assert raised.value.setting == "patience_seconds"


def test_pages_without_end_meet_a_limit_of_the_whole_reading() -> None:
    count = itertools.count()

    def another(_: Request) -> object:
        return {"data": [{"id": f"{next(count)}"}], "next_cursor": f"{next(count)}"}

    with (
        served(Answers([another])) as url,  # type: ignore[arg-type]
        client(url, Cursor(), pull_minutes=0.5 / 60) as reader,
        pytest.raises(
            RestUnavailable, match=r"/campaigns did not end within 0.00833333 minutes; what was fetched"
        ) as raised,
    ):
        list(reader.pages())
    assert raised.value.setting == "pull_minutes"
    with (
        bytes_served(trickled(*TRICKLES["the body"])) as url,
        client(url, Cursor(), pull_minutes=0.5 / 60) as reader,
        pytest.raises(RestUnavailable, match="did not end within"),
    ):
        list(reader.pages())


def test_empty_pages_without_end_are_refused_and_some_are_not() -> None:
    count = itertools.count()

    def empty(_: Request) -> object:
        return {"data": [], "next_cursor": f"{next(count)}"}

    some = [{"data": [], "next_cursor": f"a{number}"} for number in range(30)]
    assert answered(*some, OK)[0] == ["1"]
    with (
        served(Answers([empty])) as url,  # type: ignore[arg-type]
        client(url, Cursor(), empty_pages=30) as reader,
        pytest.raises(RestRefused, match="gave 30 pages one after the other without a record") as raised,
    ):
        list(reader.pages())
    assert (raised.value.setting, reader.tries) == ("empty_pages", 30)


# ------------------------------------------------------------------------------------------------- where the key stands


@pytest.mark.parametrize(
    ("spec", "header", "parameter"),
    [
        ({}, ("api_key", "demo-key"), None),
        ({"key_header": "Authorization", "key_prefix": "Bearer "}, ("authorization", "Bearer demo-key"), None),
        ({"key_parameter": "access_token"}, None, ("access_token", "demo-key")),
    ],
)
def test_the_key_is_sent_where_the_spec_says_on_every_page(
    spec: dict[str, str],
    header: tuple[str, str] | None,
    parameter: tuple[str, str] | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And a link that repeats it, as Meta's do, is kept without it."""

    def linked(request: Request) -> object:
        link = f"{request.base_url}campaigns?access_token=demo-key&after=b"
        return {"data": [{"id": "1"}], "paging": {"next": link}}

    api = Answers([linked, {"data": []}])
    endpoint = {**spec, "headers": {"X-Version": "7"}}
    with (
        caplog.at_level("DEBUG"),
        served(api) as url,  # type: ignore[arg-type]
        client(url, BodyLink("paging.next", absent_ends=True), key="demo-key", endpoint=endpoint) as reader,
    ):
        first, second = list(reader.pages())
        assert first.next == {"url": f"{url}/campaigns?after=b"}
    assert second.next is None
    for request in api.requests:
        assert header is None or request.headers[header[0]] == header[1]
        assert "demo-key" in request.headers.values() or header is None or header[1] != "demo-key"
        assert request.headers["X-Version"] == "7"
        assert request.query_params.get("access_token") == (parameter[1] if parameter else None)
        assert parameter is None or "demo-key" not in str(request.headers)
    assert "demo-key" not in caplog.text


def test_a_link_on_the_own_server_brings_no_other_credentials() -> None:
    def linked(request: Request) -> object:
        return {"data": [{"id": "1"}], "next": f"http://user:secret@{request.headers['host']}/campaigns?page=2#part"}

    api = Answers([linked, {"data": [], "next": None}])
    with served(api) as url, client(url, BodyLink()) as reader:  # type: ignore[arg-type]
        assert [page.next for page in reader.pages()] == [{"url": f"{url}/campaigns?page=2"}, None]
    assert "authorization" not in api.requests[1].headers


# ------------------------------------------------------------------------------------------------ a hostile server


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n5\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 40_000 + b"\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\0" * 1_000,
        b"",
    ],
)
def test_what_is_no_http_is_asked_for_again_and_told(sent: bytes) -> None:
    with (
        bytes_served(lambda connection: connection.sendall(sent)) as url,
        client(url, Cursor(), patience_seconds=0, timeout_seconds=2) as reader,
        pytest.raises(RestUnavailable, match="given up after 1 try"),
    ):
        list(reader.pages())


@pytest.mark.parametrize(
    "said", ["9" * 400, "-1", "nan", "Tue, 06 Jan 99999 12:00:30 GMT", "Tue, 99 Foo", "\u0663", "1e9"]
)
def test_a_wait_that_cannot_be_is_no_error_of_its_own(said: str) -> None:
    headers = {"Retry-After": said.encode().decode("latin-1"), "X-RateLimit-Reset": said.encode().decode("latin-1")}
    ids, sleeps = answered(Said({}, 429, headers), OK, patience_seconds=1e12) if len(said) < 100 else (["1"], [0])
    assert (ids, len(sleeps)) == (["1"], 1)
    if len(said) > 100:
        assert "given up after 1 try" in refused(Said({}, 429, headers), error=RestUnavailable)


def test_records_of_any_kind_and_depth_are_lines_or_a_sentence() -> None:
    for record in ("[" * 400 + "]" * 400, '"' + "x" * 1_000_000 + '"', "9" * 5_000, '{"a": 1, "a": 2}', '"\\u0000"'):
        body = f'{{"data": [{record}], "next_cursor": null}}'.encode()
        with served(Answers([body])) as url, client(url, Cursor()) as reader:  # type: ignore[arg-type]
            (page,) = reader.pages()
        assert [bytes(one).decode() for one in page.records] == [record]
    for deep in (
        "[" * 100_000,
        '{"data": [' + "[" * 100_000,
        '{"x": ' + '{"y": ' * 100_000,
        '{"error": ' + "[" * 9_999,
    ):
        with served(Answers([deep.encode()])) as url, pytest.raises(RestError):  # type: ignore[arg-type]
            list(client(url, Cursor(), patience_seconds=0).pages())
