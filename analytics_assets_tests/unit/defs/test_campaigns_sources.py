"""What a pull's lines become: rows a campaign, day, country and platform, whatever the API sends."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest

from analytics_assets.defs.campaigns.simulator import day_of, newest, simulate, versions
from analytics_assets.defs.campaigns.sources import CAMPAIGNS, flattened
from analytics_assets.partitions import Window
from analytics_assets_tests.support.campaigns import entry, record
from analytics_assets_tests.support.inbox import Inbox
from analytics_assets_tests.support.visits import rows_of

MakeInbox = Callable[..., Inbox]
PULLED_AT = "2026-11-20T06:00:00.000000Z"
NOVEMBER = Window(date(2026, 11, 1), date(2026, 12, 1))


def line(held: Any) -> dict[str, Any]:
    return {"pulled_at": PULLED_AT, "page": 3, "record": held}


@pytest.fixture
def campaigns(inbox: MakeInbox) -> Inbox:
    return inbox(CAMPAIGNS)


def land(campaigns: Inbox, *records: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The accepted rows and the rejects of a pull that brings some records."""
    campaigns.drop("campaigns-1.jsonl", "".join(json.dumps(line(held)) + "\n" for held in records))
    campaigns.land()
    return rows_of(campaigns, NOVEMBER), campaigns.rejects()


# ------------------------------------------------------------------------------------------------------ flattened


def test_a_record_is_a_row_for_each_day_and_country(campaigns: Inbox) -> None:
    rows, rejects = land(campaigns, record(entry(), entry(country="FR", date="2026-11-18", cost=3)))
    assert rejects.is_empty()
    german = rows.filter(pl.col("country") == "DE").select(*CAMPAIGNS.columns, "_day", "_extra").row(0, named=True)
    assert german == {
        "campaign_id": "a",
        "campaign_name": "Autumn",
        "platform": "search",
        "country": "DE",
        "currency": "EUR",
        "budget_amount": Decimal("50.000000"),
        "budget_currency": "EUR",
        "budget_period": "daily",
        "targeting": '{"age": "18-65"}',
        "impressions": 1000,
        "clicks": 20,
        "conversions": 2,
        "cost": Decimal("12.500000"),
        "revenue": Decimal("40.000000"),
        "date": date(2026, 11, 19),
        "last_updated_at": datetime(2026, 11, 20, 3),
        "pulled_at": datetime(2026, 11, 20, 6),
        "page": 3,
        "_day": date(2026, 11, 19),
        "_extra": None,
    }
    french = rows.filter(pl.col("country") == "FR")
    assert french.select("_day", "cost").rows() == [(date(2026, 11, 18), Decimal(3))]


def test_names_that_are_compared_are_written_alike(campaigns: Inbox) -> None:
    rows, _ = land(campaigns, record(entry(country=" de", currency="eur "), platform="Search "))
    assert rows.select("platform", "country", "currency").rows() == [("search", "DE", "EUR")]


def test_an_entry_may_name_its_platform_but_not_whose_version_it_is(campaigns: Inbox) -> None:
    odd = entry(platform="Video", campaign_id="b", last_updated_at="2030-01-01T00:00:00Z", pulled_at="2030-01-01")
    rows, rejects = land(campaigns, record(odd, entry(platform=None)))
    assert rejects.is_empty()
    assert sorted(rows.select("campaign_id", "platform", "last_updated_at", "pulled_at").rows()) == [
        ("a", "search", datetime(2026, 11, 20, 3), datetime(2026, 11, 20, 6)),
        ("a", "video", datetime(2026, 11, 20, 3), datetime(2026, 11, 20, 6)),
    ]
    (extra,) = rows.filter(pl.col("platform") == "video")["_extra"]
    assert json.loads(extra)["metrics.campaign_id"] == "b"


def test_what_the_spec_does_not_know_is_kept_with_the_place_where_it_stood(campaigns: Inbox) -> None:
    budget = {"amount": 5, "currency": "usd", "period": "daily", "shared": True}
    rows, rejects = land(campaigns, record(entry(reach=7), status="paused", budget=budget))
    assert rejects.is_empty()
    assert json.loads(rows["_extra"].item()) == {
        "record.status": "paused",
        "record.budget.shared": "true",
        "metrics.reach": "7",
    }
    assert rows.select("budget_amount", "budget_currency").rows() == [(Decimal(5), "USD")]


def test_a_budget_that_is_no_object_is_kept_and_costs_no_row(campaigns: Inbox) -> None:
    rows, rejects = land(campaigns, record(budget=50))
    assert rejects.is_empty()
    assert json.loads(rows["_extra"].item()) == {"record.budget": "50"}
    assert rows["budget_amount"].item() is None
    ((without,), (empty,)) = (flattened(line(record(budget=budget))) for budget in (None, {}))
    assert without == empty


def test_a_record_with_no_metrics_has_nothing_to_tell(campaigns: Inbox) -> None:
    assert list(flattened(line(record(metrics=[])))) == []
    rows, rejects = land(campaigns, record(metrics=[]), record())
    assert (rows.height, rejects.height) == (1, 0)


@pytest.mark.parametrize(
    ("held", "evidence"),
    [
        (record(metrics="none"), '"record.metrics":"none"'),
        (record(metrics={"date": "2026-11-19"}), '"record.metrics":"{'),
        (record(metrics=...), '"record.metrics":null'),
        (record(7), '"metrics":"7"'),
        (record(None), '"metrics":null'),
        ("nonsense", '"record":"nonsense"'),
        (None, '"record":null'),
        ([1, 2], '"record":"[1, 2]"'),
    ],
    ids=str,
)
def test_what_cannot_be_taken_apart_is_rejected_and_shows_what_there_was(
    campaigns: Inbox, held: Any, evidence: str
) -> None:
    rows, rejects = land(campaigns, held, record())
    assert rows.height == 1, "the record beside it is none the worse"
    (reject,) = rejects.to_dicts()
    assert "empty, but every row needs one" in reject["reason"]
    assert reject["day"] is None
    assert evidence in reject["text"]


# ---------------------------------------------------------------------------------------------------------- fields


@pytest.mark.parametrize(
    ("change", "column", "reason"),
    [
        ({"impressions": "1,204"}, "impressions", "not a whole number"),
        ({"clicks": 2.5}, "clicks", "not a whole number"),
        ({"cost": "12,50"}, "cost", "not a number"),
        ({"revenue": float("nan")}, "revenue", "not a number"),
        ({"date": "yesterday"}, "date", "not a date"),
        ({"date": None}, "date", "empty, but every row needs one"),
        ({"country": " "}, "country", "empty, but every row needs one"),
        ({"impressions": None}, None, "impressions must not be empty or negative"),
        ({"clicks": -1}, None, "clicks must not be empty or negative"),
        ({"conversions": ...}, None, "conversions must not be empty or negative"),
        ({"cost": ""}, None, "cost must not be empty or negative"),
        ({"cost": "-0.01"}, None, "cost must not be empty or negative"),
        ({"revenue": None}, None, "revenue must not be empty or negative"),
    ],
    ids=str,
)
def test_a_field_that_cannot_be_read_costs_its_row_and_no_other(
    campaigns: Inbox, change: dict[str, Any], column: str | None, reason: str
) -> None:
    rows, rejects = land(campaigns, record(entry(country="FR"), entry(**change)))
    assert rows["country"].to_list() == ["FR"]
    (reject,) = rejects.to_dicts()
    assert (reject["column"], reject["reason"][: len(reason)]) == (column, reason)


@pytest.mark.parametrize(
    "change",
    [{"impressions": "1000"}, {"cost": 12.5}, {"cost": "1.25E1"}, {"clicks": " 20 "}, {"revenue": 40}],
    ids=str,
)
def test_a_field_that_changes_its_type_and_can_still_be_read_is_read(campaigns: Inbox, change: dict[str, Any]) -> None:
    rows, rejects = land(campaigns, record(entry(**change)))
    assert rejects.is_empty()
    assert rows.select("impressions", "clicks", "cost", "revenue").row(0) == (1000, 20, Decimal("12.5"), Decimal(40))


@pytest.mark.parametrize("at", [None, "", "soon"])
def test_a_record_without_the_time_of_its_version_is_rejected(campaigns: Inbox, at: str | None) -> None:
    rows, rejects = land(campaigns, record(last_updated_at=at))
    assert (rows.height, rejects.height) == (0, 1)


def test_flat_rows_land_as_those_of_a_pull_without_the_time_of_one(campaigns: Inbox) -> None:
    rows, _ = land(campaigns, record())
    names = [name for name in CAMPAIGNS.columns if name not in ("pulled_at", "page")]
    texts = rows.select(pl.col(names).cast(pl.String)).row(0, named=True)
    campaigns.drop("campaigns-flat.jsonl", json.dumps(texts))
    csv = pl.DataFrame([texts]).write_csv(quote_style="always")
    campaigns.drop("campaigns-history-2026-11-19.csv", csv)
    campaigns.land()
    landed = rows_of(campaigns, NOVEMBER)
    assert landed.select(*names).unique().height == 1
    assert landed.sort("_source_file")["pulled_at"].to_list() == [datetime(2026, 11, 20, 6), None, None]


# -------------------------------------------------------------------------------------------------------- simulator

TWO_WEEKS = Window.of_days(date(2026, 11, 2), date(2026, 11, 15))


def test_every_record_comes_on_the_morning_after_its_day_and_a_quarter_is_corrected_within_three_days() -> None:
    found: dict[tuple[str, date], list[dict[str, Any]]] = {}
    for held in versions(TWO_WEEKS, 24, Random(1)):
        found.setdefault((held["id"], day_of(held)), []).append(held)
    assert len(found) == 24 * 14
    for (_, day), held in found.items():
        times = [datetime.fromisoformat(one["last_updated_at"]) for one in held]
        assert times == sorted(set(times))
        assert (times[0].date() - day).days == 1
        assert 2 <= times[0].hour < 5
        assert (times[-1] - times[0]).days <= 3
    corrected = [held for held in found.values() if len(held) > 1]
    assert 0.15 < len(corrected) / len(found) < 0.35
    assert {len(held) for held in corrected} == {2, 3}
    withdrawn = [held for held in corrected if len(held[-1]["metrics"]) < len(held[0]["metrics"])]
    assert 0 < len(withdrawn) < len(corrected)


def test_a_pull_brings_the_newest_version_as_of_then_of_what_has_changed() -> None:
    known = [
        record(entry(date="2026-11-02"), id="a", last_updated_at="2026-11-03T03:00:00Z"),
        record(entry(date="2026-11-02"), id="a", last_updated_at="2026-11-04T03:00:00Z"),
        record(entry(date="2026-11-02"), id="a", last_updated_at="2026-11-05T03:00:00Z"),
        record(entry(date="2026-11-02"), id="b", last_updated_at="2026-11-03T04:00:00Z"),
    ]
    at, since = datetime(2026, 11, 4, 6, tzinfo=UTC), datetime(2026, 11, 3, 6, tzinfo=UTC)
    assert newest(known, at) == [known[3], known[1]]
    assert newest(known, at, since) == [known[1]]


def test_simulated_campaigns_cost_and_bring_what_is_plausible() -> None:
    lines = [one for held in versions(TWO_WEEKS, 24, Random(1)) for one in held["metrics"]]
    euros = [one for one in lines if one["currency"] == "EUR"]
    shown, clicked = sum(one["impressions"] for one in lines), sum(one["clicks"] for one in lines)
    cost, revenue = (sum(float(one[name]) for one in euros) for name in ("cost", "revenue"))
    assert 0.015 < clicked / shown < 0.025
    assert 0.2 < cost / sum(one["clicks"] for one in euros) < 1
    assert 2 < revenue / cost < 4
    assert {"ZZ", "DE", "US", "JP"} < {one["country"] for one in lines}


def test_a_simulated_inbox_holds_what_a_pull_can_bring(campaigns: Inbox) -> None:
    simulate(campaigns.settings.inbox_dir, TWO_WEEKS, 1.0, Random(1))
    campaigns.land()
    rows, rejects = rows_of(campaigns, NOVEMBER), campaigns.rejects()
    files = rows["_source_file"].unique().sort().to_list()
    assert [Path(file).suffix for file in files] == [".jsonl", ".jsonl", ".csv"]
    assert files[-1] == "campaigns-history-2026-11-05.csv"
    assert files[1] == "campaigns-2026-11-16T060000-000000Z.jsonl"
    assert set(rows["_day"]) == set(TWO_WEEKS.days())
    assert 0 < rejects.height < 10
    versions_of = rows.group_by("campaign_id", "_day").agg(pl.col("last_updated_at").n_unique().alias("n"))
    assert versions_of["n"].max() > 1, "a day that was corrected came again"
    assert rows.drop("_source_row").is_duplicated().any(), "some came twice"
