"""The files of campaigns from the advertising API: one row per campaign, day, country and platform."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from analytics_assets.spec.source import Source, at_most

Record = dict[str, Any]

_OF_RECORD = frozenset({"id", "name", "platform", "budget", "targeting", "metrics", "last_updated_at"})
_OF_BUDGET = frozenset({"amount", "currency", "period"})
_MEASURES = ("impressions", "clicks", "conversions", "cost", "revenue")
_COUNTS = _MEASURES[:3]
_OF_METRICS = frozenset({"date", "country", "platform", "currency", *_MEASURES})


def flattened(line: Record) -> Iterator[Record]:
    """The rows of one line of a pull, `{"pulled_at": …, "record": {…}}`: one row per entry of the record's metrics.

    Fields that the spec does not know are named by their path, and so land among the extra columns. A record that
    cannot be flattened becomes one row without a day, which is rejected and shows the original. A record with an empty
    list of metrics gives no row. A line without a record is already a row.
    """
    if "record" not in line:
        yield {name: _SPELLED.get(name, _as_it_is)(value) for name, value in line.items()}
        return
    of_pull, record = {name: line.get(name) for name in ("pulled_at", "page")}, line["record"]
    if not isinstance(record, dict):
        yield {**of_pull, "record": record}
        return
    of_campaign = {**of_pull, **_campaign(record)}
    metrics = record.get("metrics")
    if not isinstance(metrics, list):
        yield {**of_campaign, "record.metrics": metrics}
        return
    for entry in metrics:
        yield {**of_campaign, **(_metrics(entry) if isinstance(entry, dict) else {"metrics": entry})}


def _campaign(record: Record) -> Record:
    held = record.get("budget")
    budget = held if isinstance(held, dict) else {}
    return {
        "campaign_id": _plain(record.get("id")),
        "campaign_name": record.get("name"),
        "platform": _small(record.get("platform")),
        "budget_amount": budget.get("amount"),
        "budget_currency": _capital(budget.get("currency")),
        "budget_period": budget.get("period"),
        "targeting": record.get("targeting"),
        "last_updated_at": record.get("last_updated_at"),
        **_unknown(record, _OF_RECORD, "record"),
        **_unknown(budget, _OF_BUDGET, "record.budget"),
        **({} if held is None or held is budget else {"record.budget": held}),
    }


def _metrics(entry: Record) -> Record:
    """The day, country and measures of an entry, its platform if it names one, and its unknown fields."""
    platform = {"platform": _small(entry["platform"])} if entry.get("platform") is not None else {}
    return {
        **platform,
        "date": entry.get("date"),
        "country": _capital(entry.get("country")),
        "currency": _capital(entry.get("currency")),
        **{name: entry.get(name) for name in _MEASURES},
        **_unknown(entry, _OF_METRICS, "metrics"),
    }


def _unknown(held: Record, known: frozenset[str], where: str) -> Record:
    return {f"{where}.{name}": value for name, value in held.items() if name not in known}


def _as_it_is(value: object) -> object:
    return value


def _plain(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _small(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _capital(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


_SPELLED = {"campaign_id": _plain, "platform": _small, "country": _capital, "currency": _capital}

CAMPAIGNS = Source(
    name="campaigns",
    description="What campaigns did by day and country, in every version that the advertising API told.",
    patterns=("campaigns-*.jsonl", "campaigns-*.jsonl.gz", "campaigns-*.csv", "campaigns-*.csv.gz"),
    columns={
        "campaign_id": pl.String,
        "campaign_name": pl.String,
        "platform": pl.String,
        "country": pl.String,
        "currency": pl.String,  # of cost and revenue
        "budget_amount": pl.Decimal(18, 6),
        "budget_currency": pl.String,
        "budget_period": pl.String,
        "targeting": pl.String,  # JSON
        "impressions": pl.Int64,
        "clicks": pl.Int64,
        "conversions": pl.Int64,
        "cost": pl.Decimal(18, 6),
        "revenue": pl.Decimal(18, 6),
        "date": pl.Date,  # the UTC day of the metrics
        "last_updated_at": pl.Datetime("us"),
        "pulled_at": pl.Datetime("us"),  # when the row's pull began
        "page": pl.Int64,  # the page of that pull: two versions may have the same second
    },
    optional=frozenset({"budget_amount", "budget_currency", "budget_period", "targeting", "pulled_at", "page"}),
    time="date",
    timezone="UTC",
    primary_key=("campaign_id", "country", "platform"),
    dedup_order=("last_updated_at desc", "pulled_at desc", "page desc"),
    whole=("campaign_id",),  # a correction replaces a campaign's day: a country that it lacks was withdrawn
    rules={
        "last_updated_at must not be empty": pl.col("last_updated_at").is_not_null(),
        **{f"{name} must not be empty or negative": (pl.col(name) >= 0).fill_null(False) for name in _MEASURES},
        **{rule: holds for name in _COUNTS for rule, holds in at_most(name, 10**12).items()},
    },
    explode=flattened,
)
