"""The specs that docs/campaigns.md shows, each pulled from a server on loopback that answers as the platform documents.

The documentation that each server follows is linked there.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from analytics_assets.defs.campaigns.api import served
from analytics_assets.defs.campaigns.sources import CAMPAIGNS
from analytics_assets.extract.pull import Pull, Span
from analytics_assets.extract.rest import RestRefused
from analytics_assets.settings import PROJECT_DIR, Api
from analytics_assets.spec.extract import Endpoint, Extract
from analytics_assets_tests.support.pages import Answers, Said
from analytics_assets_tests.support.project import test_settings
from analytics_assets_tests.support.pulls import dropped

KEY = "a-key-of-a-platform"
RECORDS = [{"id": f"k{number}", "name": f"Number {number}"} for number in range(7)]


def specs() -> dict[str, Endpoint]:
    """The endpoints by their names in the docs, as a reader would copy them."""
    text = (PROJECT_DIR / "docs" / "campaigns.md").read_text()
    found: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, found)
    return {name: value for name, value in found.items() if isinstance(value, Endpoint)}


def meta(request: Request) -> object:
    """Cursors on each page, and the address of the next one with the key in it."""
    if request.query_params.get("access_token") != KEY:
        return Said({"error": {"message": "Invalid OAuth access token.", "type": "OAuthException", "code": 190}}, 400)
    at = int(request.query_params.get("after", "0"))
    data = RECORDS[at : at + int(request.query_params["limit"])]
    end = at + len(data)
    paging: dict[str, Any] = {"cursors": {"before": str(at), "after": str(end)}}
    if end < len(RECORDS):
        paging["next"] = str(request.url.include_query_params(after=end))
    return {"data": data, "paging": paging}


def linkedin(request: Request) -> object:
    """A token in `metadata`, which the last page lacks."""
    if request.headers.get("Authorization") != f"Bearer {KEY}":
        return Said({"status": 401, "serviceErrorCode": 65600, "message": "Invalid access token"}, 401)
    if "LinkedIn-Version" not in request.headers or request.query_params["q"] != "search":
        return Said({"status": 426, "code": "NONEXISTENT_VERSION", "message": "no version"}, 426)
    at = int(request.query_params.get("pageToken", "token-0").removeprefix("token-"))
    end = at + int(request.query_params["pageSize"])
    metadata = {"nextPageToken": f"token-{end}"} if end < len(RECORDS) else {}
    return {"elements": RECORDS[at:end], "metadata": metadata}


def stripe(request: Request) -> object:
    """Records after one, and whether there are more."""
    if request.headers.get("Authorization") != f"Bearer {KEY}":
        return Said({"error": {"type": "invalid_request_error", "message": "Invalid API Key provided"}}, 401)
    after = request.query_params.get("starting_after")
    at = [record["id"] for record in RECORDS].index(after) + 1 if after else 0
    end = at + int(request.query_params["limit"])
    return {"object": "list", "url": "/v1/charges", "has_more": end < len(RECORDS), "data": RECORDS[at:end]}


def github(request: Request) -> object:
    """A list, and a header with links to the next and the last page."""
    if request.headers.get("Authorization") != f"Bearer {KEY}":
        return Said({"message": "Bad credentials", "status": "401"}, 401)
    number, size = int(request.query_params.get("page", "1")), int(request.query_params["per_page"])
    links = [f'<{request.url.include_query_params(page=1)}>; rel="first"']
    if number * size < len(RECORDS):
        links.append(f'<{request.url.include_query_params(page=number + 1)}>; rel="next"')
    return Said(RECORDS[(number - 1) * size : number * size], headers={"Link": ", ".join(links)})


PLATFORMS: dict[str, Callable[[Request], object]] = {
    "META": meta,
    "LINKEDIN": linkedin,
    "STRIPE": stripe,
    "GITHUB": github,
}
LIMITS = {
    "META": Said({"error": {"message": "(#17) User request limit reached", "type": "OAuthException", "code": 17}}, 400),
    "LINKEDIN": Said({"status": 429, "message": "Resource level throttle limit reached"}, 429),
    "STRIPE": Said({"error": {"type": "rate_limit_error", "message": "Too many requests"}}, 429),
    "GITHUB": Said(
        {"message": "API rate limit exceeded"},
        403,
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{time.time():.0f}"},
    ),
}
"""How each says that it was asked too often."""


def pulled(folder: Path, name: str, api: Answers, key: str = KEY, **spec: Any) -> tuple[list[Any], str]:
    """What a pull of a platform drops, and all that it kept."""
    settings = test_settings(folder)
    with served(api) as url:  # type: ignore[arg-type]
        of_api = Api(url=url, key=key, patience_seconds=20)  # type: ignore[arg-type]
        extract = Extract(CAMPAIGNS, specs()[name], **({"since": "since", "changed": "last_updated_at"} | spec))
        Pull(extract, of_api, settings).run(lambda: Span(datetime(2026, 1, 5, tzinfo=UTC)))
    return [line["record"] for line in dropped(settings)], "".join(
        file.read_bytes().decode(errors="replace") for file in folder.rglob("*") if file.is_file()
    )


@pytest.mark.parametrize("name", PLATFORMS)
def test_all_pages_of_a_platform_are_pulled_and_its_limits_waited_for(tmp_path: Path, name: str) -> None:
    answer = PLATFORMS[name]
    api = Answers([answer, LIMITS[name], answer])
    found, kept = pulled(tmp_path, name, api)
    assert found == RECORDS
    assert len(api.requests) == 4, "three pages, of which the second was asked for twice"
    assert KEY not in kept


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("META", "answered 400 Bad Request; it says error.message: Invalid OAuth access token., error.type: OAuthExc"),
        ("LINKEDIN", "the key is wrong, or may not read this; it says message: Invalid access token"),
        ("STRIPE", "the key is wrong, or may not read this; it says error.type: invalid_request_error, error.message"),
        ("GITHUB", "the key is wrong, or may not read this; it says message: Bad credentials"),
    ],
)
def test_a_wrong_key_is_told_as_the_platform_tells_it(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(Exception, match="answered 40") as raised:
        pulled(tmp_path, name, Answers([PLATFORMS[name]]), key="another-key-of-mine")
    assert says in str(raised.value)
    assert "another-key" not in str(raised.value)


OF_META = {"data": RECORDS[:3], "paging": {"cursors": {"before": "0", "after": "3"}, "next": "/campaigns?after=3"}}
OF_STRIPE = {"object": "list", "data": RECORDS[:3], "has_more": True}
OF_LINKEDIN = {"elements": RECORDS[:3], "metadata": {"nextPageToken": "token-3"}}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("STRIPE", OF_META), ("STRIPE", OF_LINKEDIN), ("META", OF_STRIPE), ("META", {**OF_LINKEDIN, "data": []}),
        ("LINKEDIN", {**OF_STRIPE, "elements": RECORDS[:3]}), ("LINKEDIN", OF_META), ("GITHUB", OF_META),
    ],
)  # fmt: skip
def test_a_spec_of_one_platform_does_not_end_early_on_another(tmp_path: Path, name: str, body: object) -> None:
    with pytest.raises(RestRefused, match=r"does not hold .*; its keys are|holds (what is )?no list.*; its keys are"):
        pulled(tmp_path, name, Answers([body]))


def test_the_time_since_when_is_spelled_as_the_platform_wants_it(tmp_path: Path) -> None:
    api = Answers([stripe])
    pulled(tmp_path / "unix", "STRIPE", api, since="created[gte]", since_is_unix=True)
    assert {asked["created[gte]"] for asked in api.asked} == {"1767571200"}
    api = Answers([stripe])
    pulled(tmp_path / "none", "STRIPE", api, since="")
    assert set(api.asked[0]) == {"limit"}
