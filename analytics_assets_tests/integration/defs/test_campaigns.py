"""Campaigns by real runs: which version of a day stays, what becomes euros and regions, and what the checks say."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import polars as pl
import pytest

from analytics_assets.dbt.variables import source_vars
from analytics_assets.defs.campaigns import DOMAIN as CAMPAIGNS
from analytics_assets.operations.reconciliation import reconcile
from analytics_assets.settings import PROJECT_DIR
from analytics_assets.spec.source import Source
from analytics_assets_tests.support.campaigns import NOON, entry, pull, record, told
from analytics_assets_tests.support.project import Project, day
from analytics_assets_tests.support.visits import VISITS

pytestmark = pytest.mark.models_alone


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "data", [replace(CAMPAIGNS, reports=())])


def clicks(project: Project, campaign: str = "a") -> dict[str, int]:
    rows = project.frame("stg_campaigns").filter(pl.col("campaign_id") == campaign)
    found = dict(rows.select("country", "clicks").rows())
    assert len(found) == rows.height
    return found


def settle_anyway(project: Project) -> list[str]:
    """Lands and makes what can be made; gives what failed, and what was warned of."""
    runner = project.runner()
    names = {key.path[-1] for key in project.definitions.resolve_asset_graph().get_all_asset_keys()}
    runner.land(names)
    runner.settle(names)
    return [*runner.outcome.failures, *runner.outcome.warnings]


def is_said(said: Iterable[str], check: str, finding: str) -> bool:
    return any(sentence.startswith(f"check {check} of ") and f": {finding}" in sentence for sentence in said)


# --------------------------------------------------------------------------------------------- which version stays


def test_a_line_that_the_newest_version_lacks_disappears_and_the_reconciliation_holds(project: Project) -> None:
    pull(project, "1", [told({"DE": 1, "FR": 2}, updated=0)])
    project.settle("stg_campaigns")
    assert clicks(project) == {"DE": 1, "FR": 2}
    pull(project, "2", [told({"DE": 5}, updated=1)])
    project.settle("stg_campaigns")
    assert clicks(project) == {"DE": 5}
    found = reconcile(project.sources[0], project.declared, datetime.now())
    assert (found.raw, found.duplicates, found.stg, found.faults) == (3, 2, 1, [])


def test_an_older_version_that_lands_later_changes_nothing(project: Project) -> None:
    pull(project, "1", [told({"DE": 5}, updated=1)])
    pull(project, "2", [told({"DE": 1, "FR": 2}, updated=0)], pulled=1)
    project.settle("stg_campaigns")
    assert clicks(project) == {"DE": 5}


def test_of_a_version_that_was_pulled_twice_the_newer_pull_stays(project: Project) -> None:
    pull(project, "2", [told({"DE": 3})], pulled=2)
    pull(project, "1", [told({"DE": 1, "FR": 2})], pulled=1)
    project.settle("stg_campaigns")
    assert clicks(project) == {"DE": 3}
    assert project.frame("stg_campaigns")["pulled_at"].to_list() == [NOON + timedelta(hours=2)]


@pytest.mark.parametrize("order", [1, -1], ids=["as read", "the other way round"])
def test_of_two_versions_of_one_second_the_one_on_the_later_page_stays(project: Project, order: int) -> None:
    """A record that is changed within its second, while the pages around it are read."""
    read = [(1, told({"DE": 1, "FR": 2})), (2, told({"DE": 5}))]
    lines = [
        json.dumps({"pulled_at": f"{NOON:%Y-%m-%dT%H:%M:%SZ}", "page": page, "record": held}) for page, held in read
    ]
    project.drop("campaigns", "campaigns-1.jsonl", "\n".join(lines[::order]))
    project.settle("stg_campaigns")
    assert clicks(project) == {"DE": 5}


def test_rows_that_tie_are_one_version_and_a_country_stands_once(project: Project) -> None:
    """A record that came in two parts, or twice on a page: nothing says that one of them is newer."""
    pull(project, "1", [told({"DE": 1, "FR": 2}), told({"DE": 1, "US": 3}), told({"DE": 1, "FR": 2})])
    project.settle("stg_campaigns")
    assert clicks(project) == {"DE": 1, "FR": 2, "US": 3}


def test_the_versions_of_a_day_say_nothing_of_another_day_or_campaign(project: Project) -> None:
    pull(project, "1", [told({"DE": 1, "FR": 2}, updated=0), told({"US": 4}, updated=5, at=day(2))])
    pull(project, "2", [told({"JP": 9}, updated=9, id="b")])
    project.settle("stg_campaigns")
    assert clicks(project) == {"DE": 1, "FR": 2, "US": 4}
    assert clicks(project, "b") == {"JP": 9}


def test_an_export_without_the_time_of_a_pull_gives_way_to_a_pull_of_the_same_version(project: Project) -> None:
    pull(project, "1", [told({"DE": 1})])
    row = {"campaign_id": "a", "campaign_name": "", "platform": "search", "date": str(day(1)), "currency": "EUR"}
    row |= {"last_updated_at": str(NOON), "impressions": "9", "conversions": "0", "cost": "1", "revenue": "0"}
    rows = [{**row, "country": country, "clicks": "7"} for country in ("DE", "FR")]
    project.drop("campaigns", "campaigns-history.csv", pl.DataFrame(rows).write_csv())
    project.settle("stg_campaigns")
    assert clicks(project) == {"DE": 1}


@pytest.mark.parametrize("seed", range(2))
def test_random_histories_leave_what_the_rule_leaves(project: Project, seed: int) -> None:
    """The rule itself: of each campaign and day, the rows of the largest time of update, then of pull."""
    random = Random(seed)
    told_of: dict[tuple[str, date], dict[tuple[int, int], dict[str, int]]] = {}
    for number in range(6):
        pulled = random.randrange(3)
        records = []
        for campaign in "abcdefgh":
            at, updated = day(random.randrange(2)), random.randrange(4)
            held = {country: random.randrange(3) for country in random.sample(["DE", "FR", "US"], random.randint(1, 3))}
            if (updated, pulled) in told_of.get((campaign, at), {}):
                continue  # ties of other rows are another test's
            told_of.setdefault((campaign, at), {})[updated, pulled] = held
            records.append(told(held, updated, at, id=campaign))
        pull(project, str(number), records, pulled)
    project.settle("stg_campaigns")
    expected = [
        (campaign, at, country, number)
        for (campaign, at), held in told_of.items()
        for country, number in held[max(held)].items()
    ]
    found = project.frame("stg_campaigns").select("campaign_id", "date", "country", "clicks").rows()
    assert sorted(found) == sorted(expected)


def test_what_is_delivered_as_a_whole_is_named_by_columns_and_needs_a_dedup_order() -> None:
    spec = {**VISITS.__dict__, "dedup_order": ("n desc",)}
    assert source_vars([Source(**{**spec, "whole": ("note",)})])["visits"]["whole"] == ["note"]
    assert "whole" not in source_vars([VISITS])["visits"], "models of other sources stay as they are"
    with pytest.raises(ValueError, match="nowhere is not among its columns"):
        Source(**{**spec, "whole": ("nowhere",)})
    with pytest.raises(ValueError, match="needs a dedup order"):
        Source(**{**spec, "dedup_order": (), "whole": ("note",)})


# ------------------------------------------------------------------------------------------------ euros and regions


@pytest.mark.with_checks
def test_a_currency_without_a_rate_holds_its_day_back_and_no_other(project: Project) -> None:
    strange = record(entry(date=str(day(1)), currency="XXX"), last_updated_at="2025-01-01T12:00:00Z")
    pull(project, "1", [strange, told({"DE": 1}, at=day(2))])
    said = settle_anyway(project)
    assert is_said(said, "currencies_have_a_rate", f"the_day {day(1)}, currency XXX"), said
    assert set(project.frame("core_campaign_performance")["date"]) == {day(2)}
    mended = record(entry(date=str(day(1)), currency="USD"), last_updated_at="2025-01-01T13:00:00Z")
    pull(project, "2", [mended])
    assert not [sentence for sentence in settle_anyway(project) if "currencies_have_a_rate" in sentence]
    assert set(project.frame("daily_campaign_summary")["date"]) == {day(1), day(2)}


@pytest.mark.with_checks
def test_an_unknown_country_counts_as_unknown_and_is_named(project: Project) -> None:
    pull(project, "1", [told({"DE": 1, "NA": 2, "ZZ": 3}, at=at) for at in project.window.days()])
    said = settle_anyway(project)
    assert is_said(said, "countries_have_a_region", f"the_day {day(0)}, country ZZ"), said
    regions = project.frame("core_campaign_performance").select("country", "region").unique().rows()
    assert sorted(regions) == [("DE", "EMEA"), ("NA", "EMEA"), ("ZZ", "unknown")]
    assert project.frame("daily_campaign_summary")["daily_clicks"].sum() == 5 * 6
    assert not [sentence for sentence in said if "rows_every_day" in sentence]


@pytest.mark.with_checks
def test_an_unknown_platform_counts_and_is_named_and_a_day_without_rows_is(project: Project) -> None:
    pull(project, "1", [told({"DE": 1}, at=at, platform="Print") for at in project.window.days() if at != day(3)])
    said = settle_anyway(project)
    assert is_said(said, "platforms_are_known", f"the_day {day(0)}, platform print"), said
    assert is_said(said, "rows_every_day_daily_campaign_summary_", f"the_day {day(3)}"), said
    assert set(project.frame("daily_campaign_summary")["platform"]) == {"print"}


def test_no_cent_is_lost_from_the_rows_to_the_summary(project: Project) -> None:
    """An oracle of its own: the rates of the seed, applied to the staging rows with Python's decimals."""
    project.simulate(scale=0.3)
    project.settled()
    file = PROJECT_DIR / "dbt_project" / "seeds" / "campaigns" / "lookup_currency_rates.csv"
    rates = [line.split(",") for line in file.read_text().splitlines()[1:]]
    newest = {currency: Decimal(rate) for currency, _, rate in sorted(rates, key=lambda rate: rate[1])}
    staging, core = project.frame("stg_campaigns"), project.frame("core_campaign_performance")
    summary = project.frame("daily_campaign_summary")
    assert len(set(staging["currency"])) > 2
    for row in staging.to_dicts():
        assert row["cost"] == round(row["cost_original"] * newest[row["currency"]], 9)
        assert row["revenue"] == round(row["revenue_original"] * newest[row["currency"]], 9)
    for name in ("cost", "revenue"):
        assert staging[name].sum() == core[f"total_{name}"].sum() == summary[f"daily_{name}"].sum() > 0
    for name in ("impressions", "clicks", "conversions"):
        assert staging[name].sum() == core[name].sum() == summary[f"daily_{name}"].sum() > 0
    for at in project.window.days():
        of_day = summary.filter(pl.col("date") == at)
        assert of_day["platform"].n_unique() >= 2
        assert of_day["region"].n_unique() >= 2
