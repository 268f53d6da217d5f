"""Which page is the last: what the spec says and nothing else, against a real server on loopback."""

import json
from typing import Any

import httpx
import msgspec
import pytest

from analytics_assets.defs.campaigns.api import served
from analytics_assets.extract.rest import RestRefused
from analytics_assets.spec.pagination import (
    Answer,
    BodyLink,
    Cursor,
    LastRecord,
    LinkHeader,
    Offset,
    PageNumbers,
    Pagination,
    member_at,
    members_of,
)
from analytics_assets_tests.support.pages import Answers, Said
from analytics_assets_tests.support.rest import client, id_of

RECORDS = [{"id": f"k{number}"} for number in range(7)]


def read(said: list[Any], pagination: Pagination, **endpoint: Any) -> tuple[list[str], Answers]:
    """The ids of what is read of an API that gives some answers, and the API."""
    api = Answers(said)
    with served(api) as url, client(url, pagination, endpoint=endpoint) as reader:  # type: ignore[arg-type]
        return [id_of(record) for page in reader.pages() for record in page.records], api


def page(number: int, **members: Any) -> dict[str, Any]:
    """One of three pages of seven records, with members beside them."""
    return {"data": RECORDS[3 * number : 3 * number + 3], **members}


ALL = [record["id"] for record in RECORDS]

# ------------------------------------------------------------------------------------------------------ other shapes

FOREIGN = {
    "cursors in an object": {"paging": {"cursors": {"before": "a", "after": "b"}, "next": "https://x/y?after=b"}},
    "a cursor in an object": {"meta": {"next_cursor": "b"}},
    "another name": {"nextPageToken": "b"},
    "a link": {"next": "http://127.0.0.1/campaigns?page=2"},
    "links in an object": {"links": {"self": "/1", "next": "/2"}},
    "more or not": {"has_more": True},
    "an offset": {"offset": 0, "limit": 3, "total": 7},
    "nothing": {},
}


@pytest.mark.parametrize("shape", FOREIGN.values(), ids=FOREIGN)
def test_pages_of_another_shape_are_an_error_that_shows_their_keys_and_no_values(shape: dict[str, Any]) -> None:
    with pytest.raises(RestRefused) as raised:
        read([page(0, **shape)], Cursor())
    said = str(raised.value)
    assert (
        "/campaigns does not hold next_cursor, which would say whether there is a next page; its keys are data" in said
    )
    for name in shape:
        assert name in said
    assert "after=b" not in said and "k0" not in said


@pytest.mark.parametrize(
    ("shape", "pagination"),
    [
        (FOREIGN["cursors in an object"], Cursor(absent_ends=True)),
        (FOREIGN["cursors in an object"], Cursor(member="paging.nxt", absent_ends=True)),
        (FOREIGN["cursors in an object"], BodyLink("next", absent_ends=True)),
        (FOREIGN["a cursor in an object"], BodyLink("links.next", absent_ends=True)),
        (FOREIGN["more or not"], Cursor(absent_ends=True)),
        (FOREIGN["links in an object"], LinkHeader()),
        (FOREIGN["another name"], LinkHeader()),
        (FOREIGN["nothing"], LastRecord()),
        (FOREIGN["nothing"], BodyLink()),
    ],
)
def test_a_lacking_member_is_no_end_where_the_page_says_otherwise_how_it_goes_on(
    shape: dict[str, Any], pagination: Pagination
) -> None:
    for body in (page(0, **shape), {"data": [], **shape}):
        if shape or body["data"]:
            with pytest.raises(RestRefused, match=r"does not hold|has no Link header"):
                read([body], pagination)


def test_an_error_shows_some_keys_escaped_and_cut() -> None:
    odd = {"\x1b[31mred": 1, "n" * 500: 1, **{f"key-{number}": 1 for number in range(100)}}
    with pytest.raises(RestRefused) as raised:
        read([page(0, **odd)], Cursor())
    said = str(raised.value)
    assert "\\x1b[31mred" in said and "\x1b" not in said
    assert "key-5" in said and "key-50" not in said and "and 83 more" in said
    assert len(said) < 1_000


@pytest.mark.parametrize("cursor", [True, {"after": "b"}, ["b"], {}], ids=str)
def test_a_cursor_that_is_none_is_an_error(cursor: Any) -> None:
    if cursor == {}:
        assert read([page(0, next_cursor=cursor)], Cursor())[0] == ALL[:3], "it says nothing"
        return
    with pytest.raises(RestRefused, match=r"holds (true|an object|a list) in next_cursor"):
        read([page(0, next_cursor=cursor)], Cursor())


# -------------------------------------------------------------------------------------------------------------- ends


@pytest.mark.parametrize("end", [None, False, 0, 0.0, "", {}, []], ids=repr)
def test_the_last_page_says_so_by_what_is_nothing(end: object) -> None:
    read_, api = read([page(0, next_cursor="3"), page(1, next_cursor=6), page(2, next_cursor=end)], Cursor())
    assert read_ == ALL
    assert [asked.get("cursor") for asked in api.asked] == [None, "3", "6"]


@pytest.mark.parametrize("last", [{"data": [], "next_cursor": "7"}, {"data": []}, Said(status=204)])
def test_an_empty_page_that_leads_to_itself_or_nowhere_is_the_end(last: object) -> None:
    said = [page(0, next_cursor="3"), page(1, next_cursor="6"), page(2, next_cursor="7"), last]
    read_, api = read(said, Cursor())
    assert (read_, len(api.requests)) == (ALL, 4)


def test_an_empty_page_whose_link_is_its_own_is_the_end() -> None:
    def linked(number: int, following: int) -> Said:
        return Said(page(number), headers={"Link": f'</campaigns?page={following}>; rel="next"'})

    assert read([linked(0, 2), linked(1, 3), linked(2, 4), linked(3, 4)], LinkHeader())[0] == ALL
    bodies = [page(number, next=f"/campaigns?page={min(number + 2, 4)}") for number in range(4)]
    assert read(bodies, BodyLink())[0] == ALL


@pytest.mark.parametrize(
    "pagination", [PageNumbers(), Offset(), Cursor(), Cursor(more="more"), LastRecord(), BodyLink(), LinkHeader()]
)
def test_no_content_is_no_records_and_the_end(pagination: Pagination) -> None:
    read_, api = read([Said(status=204)], pagination)
    assert (read_, len(api.requests)) == ([], 1)


def test_one_cursor_for_all_pages_is_no_circle() -> None:
    """As with a scroll: the server remembers how far it was read."""
    said = [page(number, next_cursor="scroll") for number in range(4)]
    assert read(said, Cursor())[0] == ALL


def test_pages_that_lead_back_are_a_circle() -> None:
    around = [page(0, next_cursor="3"), page(1, next_cursor="6"), page(2, next_cursor="3"), page(1, next_cursor="6")]
    with pytest.raises(RestRefused, match=r"the pages of http://127.0.0.1:\d+/campaigns lead in a circle"):
        read(around, Cursor())
    with pytest.raises(RestRefused, match="lead in a circle"):
        read([page(1, next_cursor="3")], Cursor())


# ------------------------------------------------------------------------------------------------- where things stand


@pytest.mark.parametrize(
    ("pagination", "members", "parameter"),
    [
        (Cursor(member="meta.next_cursor"), [{"meta": {"next_cursor": c}} for c in ("3", "6", None)], "cursor"),
        (Cursor("after", "paging.cursors.after", more="paging.next", absent_ends=True),
         [{"paging": {"cursors": {"after": c}} | ({"next": "x"} if c != "9" else {})} for c in "369"], "after"),
        (Cursor("token", "page_info.cursor", more="page_info.has_more"),
         [{"page_info": {"cursor": c, "has_more": c != "9"}} for c in ("3", "6", "9")], "token"),
        (Cursor("pageToken", "nextPageToken", absent_ends=True),
         [{"nextPageToken": "3"}, {"nextPageToken": "6"}, {}], "pageToken"),
        (Cursor("c", "@next.cursor"), [{"@next.cursor": c} for c in ("3", "6", "")], "c"),
    ],
)  # fmt: skip
def test_a_cursor_may_stand_anywhere(pagination: Cursor, members: list[dict[str, Any]], parameter: str) -> None:
    read_, api = read([page(number, **one) for number, one in enumerate(members)], pagination)
    assert read_ == ALL
    assert [asked.get(parameter) for asked in api.asked] == [None, "3", "6"]


def test_a_link_in_the_body_may_be_relative_and_its_parameters_are_its_own() -> None:
    links = [{"paging": {"next": "/campaigns?after=b"}}, {"paging": {"next": "?after=c"}}, {"paging": {}}]
    read_, api = read([page(n, **one) for n, one in enumerate(links)], BodyLink("paging.next", absent_ends=True))
    assert read_ == ALL
    assert api.asked == [{"page_size": "10"}, {"after": "b"}, {"after": "c"}]
    odata = [{"@odata.nextLink": "?skip=3"}, {"@odata.nextLink": "?skip=6"}, {}]
    assert (
        read([page(n, **one) for n, one in enumerate(odata)], BodyLink("@odata.nextLink", absent_ends=True))[0] == ALL
    )


def test_pages_may_begin_after_the_last_record_or_after_so_many() -> None:
    read_, api = read([page(number, has_more=number < 2) for number in range(3)], LastRecord())
    assert read_ == ALL
    assert [asked.get("starting_after") for asked in api.asked] == [None, "k2", "k5"]

    read_, api = read([page(number) for number in range(4)], Offset())
    assert read_ == ALL
    assert [asked["offset"] for asked in api.asked] == ["0", "3", "6", "7"]

    read_, api = read([page(number) for number in range(4)], PageNumbers("p", start=0))
    assert [asked["p"] for asked in api.asked] == ["0", "1", "2", "3"]


def test_more_pages_without_a_place_are_an_error() -> None:
    for pagination, body in (
        (LastRecord(), {"data": [], "has_more": True}),
        (LastRecord(), {"data": [{"name": "no id"}], "has_more": True}),
        (Cursor(more="has_more"), page(0, has_more=True, next_cursor=None)),
    ):
        with pytest.raises(RestRefused, match="says in has_more that there are more pages, and"):
            read([body], pagination)


def test_records_may_stand_anywhere() -> None:
    nested = [
        {"code": 0, "data": {"list": page(number)["data"]}, "next_cursor": cursor}
        for number, cursor in enumerate(["3", "6", None])
    ]
    assert read(nested, Cursor(), records="data.list")[0] == ALL
    assert read([RECORDS], LinkHeader(), records="")[0] == ALL
    with pytest.raises(RestRefused, match=r"no list named 'data.rows'; its keys are code, data.list, next_cursor"):
        read(nested, Cursor(), records="data.rows")
    with pytest.raises(RestRefused, match="holds what is no list of records; its keys are data"):
        read([page(0)], LinkHeader(), records="")


def test_a_cursor_keeps_all_its_digits() -> None:
    sent = b'{"data": [{"id": "1"}], "next_cursor": 123456789012345678901234567890.10}'
    _, api = read([sent, page(0, next_cursor=None)], Cursor())
    assert api.asked[1]["cursor"] == "123456789012345678901234567890.10"


def test_members_are_found_by_their_path() -> None:
    members = members_of(json.dumps({"a": {"b": {"c": 1}, "x.y": 2}, "d.e": {"f": 3}, "n": None}).encode())
    found = {
        path: member_at(members, path) for path in ("a.b.c", "a.x.y", "d.e", "a.b", "n", "a.c", "z", "n.m", "a.b.c.d")
    }
    values = {path: None if value is None else msgspec.json.decode(value) for path, value in found.items()}
    assert values == {"a.b.c": 1, "a.x.y": 2, "d.e": {"f": 3}, "a.b": {"c": 1}, "n": None} | dict.fromkeys(
        ("a.c", "z", "n.m", "a.b.c.d")
    )
    assert found["n"] is not None, "null is there"
    assert Answer(httpx.URL("http://a"), {}, []).keys == "it has no keys"
