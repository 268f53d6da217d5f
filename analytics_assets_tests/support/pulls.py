"""Pulls of the API of campaigns into an inbox."""

import json
from datetime import UTC, datetime
from pathlib import Path

from analytics_assets.defs.campaigns.api import Record
from analytics_assets.defs.campaigns.sources import CAMPAIGNS
from analytics_assets.extract.pull import Pull, Pulled, Span
from analytics_assets.settings import Api, Settings
from analytics_assets.spec.extract import Endpoint, Extract
from analytics_assets.spec.pagination import Cursor, Pagination
from analytics_assets_tests.support.project import test_settings

CURSOR = Cursor()


EVER = Span(datetime(2026, 1, 1, tzinfo=UTC))


def extract_with(pagination: Pagination) -> Extract:
    endpoint = Endpoint("campaigns", pagination, parameters={"page_size": "10"})
    return Extract(CAMPAIGNS, endpoint, since="last_updated_at", changed="last_updated_at")


def api_at(url: str, **changes: object) -> Api:
    defaults: dict[str, object] = {"requests": 1_000, "seconds": 1, "patience_seconds": 20, "timeout_seconds": 0.5}
    return Api(url=url, key="demo", **(defaults | changes))  # type: ignore[arg-type]


def pull(
    folder: Path, url: str, span: Span = EVER, pagination: Pagination = CURSOR, **changes: object
) -> tuple[Settings, Pulled]:
    settings = test_settings(folder)
    return settings, Pull(extract_with(pagination), api_at(url, **changes), settings).run(lambda: span)


def dropped(settings: Settings) -> list[Record]:
    """All lines of all files in the inbox, the oldest file first."""
    files = sorted((settings.inbox_dir / "campaigns").glob("*"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]
