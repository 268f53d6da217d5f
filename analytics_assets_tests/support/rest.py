"""A client of the API of campaigns, which a server on loopback answers."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from analytics_assets.defs.campaigns.api import Record
from analytics_assets.extract.rest import Budget, RestClient
from analytics_assets.spec.extract import Endpoint
from analytics_assets.spec.pagination import Cursor, LinkHeader, PageNumbers, Pagination

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
    sleep: Callable[[float], None] | None = None,
    endpoint: Mapping[str, Any] = {},
    **limits: float,
) -> RestClient:
    """A client of the stand-in, with settings of its endpoint and limits beside the defaults."""
    of_endpoint = {"parameters": {"page_size": "10"}} | dict(endpoint)
    return RestClient(
        url,
        SecretStr(key),
        Endpoint("campaigns", pagination, **of_endpoint),
        Budget(10_000, 1),
        sleep=Sleeps() if sleep is None else sleep,
        **limits,  # type: ignore[arg-type]
    )


def id_of(record: msgspec.Raw) -> str:
    return msgspec.json.decode(record)["id"]
