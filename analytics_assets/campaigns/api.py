"""A stand-in for an advertising API on loopback: simulated campaigns, and what real APIs do, by switches.

`analytics-assets serve-campaigns-api` serves it. Nothing here is imported by the assets.
"""

import asyncio
import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from analytics_assets.partitions import ONE_DAY, Window

PLATFORMS = ("search", "social", "video", "display")
COUNTRIES = ("DE", "FR", "US", "BR", "JP", "ZZ")  # the last one is in no lookup
CURRENCIES = {"US": "USD", "BR": "BRL", "JP": "JPY"}
SETTLING_DAYS = 3  # for so long a day's figures are still corrected

Record = dict[str, Any]


@dataclass
class Faults:
    """What goes wrong, and when. A number counts requests from 1; a set names those that fail.

    Attributes:
        key: the key that is asked for; any other is refused with `refusal`.
        limit: requests in any `limit_seconds`; further ones get 429.
        retry_after: how 429 says when to come again: `seconds`, `date`, or `` for not at all.
        statuses: the status that a request gets instead of its answer.
        cut: requests whose connection breaks in the middle of the answer.
        slow: seconds that a request is kept waiting.
        repeat: pages that are served twice in a row.
        malformed: pages that hold a record that is none.
        added: what is committed after a request was answered, by its number; with an old time it is a late commit, and
            with a new one it shifts the pages behind it.
    """

    key: str = "demo"
    refusal: int = 401
    limit: int | None = None
    limit_seconds: float = 60.0
    retry_after: str = "seconds"
    statuses: Mapping[int, int] = field(default_factory=dict)
    cut: frozenset[int] = frozenset()
    slow: Mapping[int, float] = field(default_factory=dict)
    repeat: frozenset[int] = frozenset()
    malformed: frozenset[int] = frozenset()
    added: Mapping[int, Sequence[Record]] = field(default_factory=dict)


@dataclass
class CampaignsApi:
    """The API and what it saw.

    Attributes:
        requests: the parameters of each request, in order.
        refused: how many requests came beyond the limit.
    """

    records: list[Record]
    faults: Faults = field(default_factory=Faults)
    page_size: int = 100
    requests: list[dict[str, str]] = field(default_factory=list)
    refused: int = 0
    _times: deque[float] = field(default_factory=deque)

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(routes=[Route("/campaigns", self.campaigns)])

    async def campaigns(self, request: Request) -> Response:
        """One page, the records that changed longest ago first."""
        self.requests.append(dict(request.query_params))
        number, faults = len(self.requests), self.faults
        if (limited := self._limited()) is not None:
            return limited
        if number in faults.slow:
            await asyncio.sleep(faults.slow[number])
        if status := faults.statuses.get(number):
            return JSONResponse({"error": "it was not to be"}, status)
        if request.headers.get("api_key") != faults.key:
            return JSONResponse({"error": "wrong api_key"}, faults.refusal)
        body, headers = self._page(request, number)
        self.records += faults.added.get(number, [])
        if number in faults.cut:
            text = json.dumps(body).encode()
            return Response(text[: len(text) // 2], headers={"Content-Length": str(len(text))})
        return JSONResponse(body, headers=headers)

    def _limited(self) -> Response | None:
        if self.faults.limit is None:
            return None
        now = asyncio.get_running_loop().time()
        while self._times and self._times[0] + self.faults.limit_seconds <= now:
            self._times.popleft()
        if len(self._times) < self.faults.limit:
            self._times.append(now)
            return None
        self.refused += 1
        wait = self._times[0] + self.faults.limit_seconds - now
        said = {
            "seconds": str(int(wait) + 1),
            "date": format_datetime(datetime.now(UTC) + timedelta(seconds=int(wait) + 1), usegmt=True),
        }.get(self.faults.retry_after)
        return JSONResponse({"error": "too many requests"}, 429, headers={"Retry-After": said} if said else {})

    def _page(self, request: Request, number: int) -> tuple[dict[str, Any], dict[str, str]]:
        asked = dict(request.query_params)
        size = min(int(asked.get("page_size", self.page_size)), 500)
        found = sorted(
            (record for record in self.records if str(record["last_updated_at"]) >= asked.get("last_updated_at", "")),
            key=lambda record: (str(record["last_updated_at"]), str(record["id"])),
        )
        start = int(asked["cursor"]) if "cursor" in asked else (int(asked.get("page", "1")) - 1) * size
        if number - 1 in self.faults.repeat:
            start = max(0, start - size)
        data: list[Any] = found[start : start + size]
        if number in self.faults.malformed:
            data = [*data, {"id": None, "metrics": "none"}]
        body: dict[str, Any] = {"data": data, "total": len(found)}
        headers = {}
        if start + size < len(found):
            body["next_cursor"] = str(start + size)
            following = urlencode({**asked, "cursor": start + size})
            headers["Link"] = f'<{request.url.replace(query=following)}>; rel="next"'
        return body, headers


# -------------------------------------------------------------------------------------------------------- records


def simulated(window: Window, campaigns: int, random: Random) -> list[Record]:
    """Campaigns with the metrics of each day and country, as the API nests them, as of the end of the window.

    A record holds a month of its campaign; it was last updated when a day of that month was last corrected.
    """
    return [_record(number, month, random) for number in range(campaigns) for month in _months(window)]


def _months(window: Window) -> Iterable[Window]:
    days = list(window.days())
    for first in [day for day in days if day.day == 1 or day == days[0]]:
        last = max(day for day in days if (day.year, day.month) == (first.year, first.month))
        yield Window.of_days(first, last)


def _record(number: int, month: Window, random: Random) -> Record:
    platform = PLATFORMS[number % len(PLATFORMS)]
    countries = random.sample(COUNTRIES, random.choice([1, 2, 3]))
    updated = datetime.combine(month.end + random.randrange(SETTLING_DAYS) * ONE_DAY, datetime.min.time())
    return {
        "id": f"campaign-{number:04}-{month.start:%Y-%m}",
        "name": f"{platform.title()} {number}",
        "platform": platform,
        "budget": {"amount": random.randrange(500, 5_000), "currency": "EUR", "period": "daily"},
        "targeting": {"countries": countries, "age": "18-65"},
        "metrics": [_metrics(day, country, random) for day in month.days() for country in countries],
        "last_updated_at": f"{updated + timedelta(seconds=random.randrange(86_400)):%Y-%m-%dT%H:%M:%SZ}",
    }


def _metrics(day: date, country: str, random: Random) -> Record:
    impressions = random.randrange(200, 20_000)
    clicks = sum(random.random() < 0.03 for _ in range(impressions // 20)) * 20 // 7
    conversions = clicks // random.randrange(8, 40)
    return {
        "date": day.isoformat(),
        "country": country,
        "impressions": impressions,
        "clicks": clicks,
        "cost": f"{clicks * random.uniform(0.1, 0.9):.2f}",
        "conversions": conversions,
        "revenue": f"{conversions * random.uniform(10, 90):.2f}",
        "currency": CURRENCIES.get(country, "EUR"),
    }
