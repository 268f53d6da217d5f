"""Records of campaigns as the API tells them, and files of them."""

import json
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from analytics_assets_tests.support.project import Project, day


def entry(**changes: Any) -> dict[str, Any]:
    """An entry of a record's metrics, with changes; what is changed to ... is left out."""
    held = {
        "date": "2026-11-19",
        "country": "DE",
        "impressions": 1000,
        "clicks": 20,
        "cost": "12.50",
        "conversions": 2,
        "revenue": "40.00",
        "currency": "EUR",
    }
    return {name: value for name, value in (held | changes).items() if value is not ...}


def record(*metrics: Any, **changes: Any) -> dict[str, Any]:
    held = {
        "id": "a",
        "name": "Autumn",
        "platform": "search",
        "budget": {"amount": "50.00", "currency": "EUR", "period": "daily"},
        "targeting": {"age": "18-65"},
        "metrics": list(metrics) or [entry()],
        "last_updated_at": "2026-11-20T03:00:00Z",
    }
    return {name: value for name, value in (held | changes).items() if value is not ...}


NOON = datetime(2025, 1, 1, 12)


def told(clicks: dict[str, int], updated: int = 0, at: date | None = None, **changes: Any) -> dict[str, Any]:
    """A record of a day: the clicks in each country, and in which hour it was last updated."""
    held = [entry(date=str(at or day(1)), country=country, clicks=number) for country, number in clicks.items()]
    return record(*held, last_updated_at=f"{NOON + timedelta(hours=updated):%Y-%m-%dT%H:%M:%SZ}", **changes)


def pull(project: Project, name: str, records: Iterable[dict[str, Any]], pulled: int = 0) -> None:
    """Drops what a pull of an hour brought."""
    at = f"{NOON + timedelta(hours=pulled):%Y-%m-%dT%H:%M:%SZ}"
    lines = [json.dumps({"pulled_at": at, "record": held}) + "\n" for held in records]
    project.drop("campaigns", f"campaigns-{name}.jsonl", "".join(lines))
