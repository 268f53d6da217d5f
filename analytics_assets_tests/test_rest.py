"""The client of JSON APIs, against a real server on loopback that does what real APIs do."""

import random
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analytics_assets.campaigns.api import CampaignsApi, Record, parse_faults, served
from analytics_assets.ingest.rest import (
    Answer,
    Budget,
    Cursor,
    Endpoint,
    LinkHeader,
    PageNumbers,
    Pagination,
    Place,
    RestClient,
    RestRefused,
    RestUnavailable,
    retry_after,
)

PAGINATIONS: list[Pagination] = [PageNumbers(), Cursor(), LinkHeader()]
MEASURES = {"impressions": 10, "clicks": 2, "conversions": 1, "revenue": "3.00"}
ALL_PAGINATIONS = pytest.mark.parametrize("pagination", PAGINATIONS, ids=lambda one: type(one).__name__)


def records(count: int) -> list[Record]:
    """So many records, five of a second after the first three, so that pages of ten end within a second."""
    return [
        {
            "id": f"campaign-{number:04}",
            "name": f"Campaign {number}",
            "platform": "search",
            "metrics": [{"date": "2026-01-05", "country": "DE", "cost": "1.50", "currency": "EUR", **MEASURES}],
            "last_updated_at": f"{datetime(2026, 1, 6) + timedelta(seconds=(number + 2) // 5):%Y-%m-%dT%H:%M:%SZ}",
        }
        for number in range(count)
    ]


class Sleeps(list[float]):
    """A sleep that only writes down how long."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)
        assert len(self) < 50, "nothing else would end this"


def client(
    url: str,
    pagination: Pagination,
    *,
    key: str = "demo",
    patience_seconds: float = 600.0,
    timeout_seconds: float = 30.0,
    sleep: Callable[[float], None] | None = None,
) -> RestClient:
    return RestClient(
        url,
        SecretStr(key),
        Endpoint("campaigns", pagination, parameters={"page_size": "10"}),
        Budget(10_000, 1),
        patience_seconds=patience_seconds,
        timeout_seconds=timeout_seconds,
        sleep=Sleeps() if sleep is None else sleep,
    )


def id_of(record: msgspec.Raw) -> str:
    return msgspec.json.decode(record)["id"]


def ids(api: CampaignsApi, pagination: Pagination, **parameters: str) -> list[str]:
    """What a client reads of an API."""
    with served(api) as url, client(url, pagination) as reader:
        return [id_of(record) for page in reader.pages(**parameters) for record in page.records]


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

    body: str = '[{"id": "1"}]'
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
    for body in (f"[{', '.join(sent)}]", f'{{"total": 4,\r\n"data": [{",".join(sent)}]}}'):
        with served(OnePage(body)) as url, client(url, Cursor()) as reader:  # type: ignore[arg-type]
            (page,) = reader.pages()
        assert [bytes(record).decode() for record in page.records] == [sent[0].replace("\n", " "), *sent[1:]]


@pytest.mark.parametrize("odd", ['"\\ud800 is half a character"', "NaN", "-Infinity"])
def test_what_only_some_call_json_costs_no_page(odd: str) -> None:
    for body in (f'[{{"id": {odd}}}, {{"id": "2"}}]', f'{{"data": [{{"id": {odd}}}, {{"id": "2"}}]}}'):
        with served(OnePage(body)) as url, client(url, Cursor()) as reader:  # type: ignore[arg-type]
            (page,) = reader.pages()
        assert [bytes(record).decode() for record in page.records] == [f'{{"id": {odd}}}', '{"id": "2"}']


@pytest.mark.parametrize("body", ['{"data": null}', '{"data": {}}', '{"error": "no"}', '"data"', "7", "null"])
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
        ("/campaigns?page=2&api_key=demo-key", RestRefused, "writes the key into the address"),
        ("/campaigns?page=2&api_key=demo%2Dkey", RestRefused, "writes the key into the address"),
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
    assert len(api.requests) == 3


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
        client(url, Cursor(), patience_seconds=0.2, sleep=sleeps) as reader,
        pytest.raises(RestUnavailable),
    ):
        list(reader.pages())
    assert all(wait > 0 for wait in sleeps)


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


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loopback is never behind a proxy, whatever the shell says."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield
