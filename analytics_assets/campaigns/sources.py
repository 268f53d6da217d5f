"""The files of campaigns: what the API's records are, flattened to one row a campaign, day, country and platform."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from analytics_assets.ingest.source import Source

Record = dict[str, Any]


def flattened(line: Record) -> Iterator[Record]:
    """The rows of one line of a pull: `{"pulled_at": …, "record": {…}}`.

    A record without metrics, or one that is no object, becomes one row without a day, which is rejected with a reason.
    """
    record = line.get("record")
    if not isinstance(record, dict):
        yield {"pulled_at": line.get("pulled_at"), "campaign_id": None}
        return
    metrics = record.get("metrics")
    budget, targeting = _object(record.get("budget")), _object(record.get("targeting"))
    of_campaign = {
        "pulled_at": line.get("pulled_at"),
        "campaign_id": record.get("id"),
        "campaign_name": record.get("name"),
        "platform": record.get("platform"),
        "budget_amount": budget.get("amount"),
        "budget_currency": budget.get("currency"),
        "targeting": targeting or None,
        "last_updated_at": record.get("last_updated_at"),
    }
    known = {"id", "name", "platform", "budget", "targeting", "metrics", "last_updated_at"}
    unknown = {name: value for name, value in record.items() if name not in known}
    for line_of_day in metrics if isinstance(metrics, list) and metrics else [{}]:
        yield {**unknown, **of_campaign, **_object(line_of_day)}


def _object(value: object) -> Record:
    return value if isinstance(value, dict) else {}


CAMPAIGNS = Source(
    name="campaigns",
    description="Performance of campaigns by day and country, as the advertising API tells it.",
    patterns=("campaigns-*.jsonl",),
    columns={
        "campaign_id": pl.String,
        "campaign_name": pl.String,
        "platform": pl.String,
        "country": pl.String,
        "budget_amount": pl.Float64,
        "budget_currency": pl.String,
        "targeting": pl.String,  # JSON
        "currency": pl.String,
        "date": pl.Datetime("us"),  # the day of the metrics
        "impressions": pl.Int64,
        "clicks": pl.Int64,
        "cost": pl.Decimal(18, 6),
        "conversions": pl.Int64,
        "revenue": pl.Decimal(18, 6),
        "last_updated_at": pl.Datetime("us"),
        "pulled_at": pl.Datetime("us"),  # when the pull began that brought the row
    },
    time="date",
    timezone="UTC",
    # All versions of a record stay in raw: the newest is chosen in staging, for whole days of a campaign.
    key=("campaign_id", "country", "platform", "last_updated_at"),
    winner=("pulled_at desc",),
    explode=flattened,
)
