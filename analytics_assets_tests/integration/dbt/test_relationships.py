"""Keys that point at another model or seed: what it does not hold is named, by day, until it is there."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

from analytics_assets.dbt.project import load_manifest
from analytics_assets.defs.consent.sources import CONSENT_EVENTS
from analytics_assets.spec.model_node import Manifest
from analytics_assets.state.check_results import CheckResults
from analytics_assets_tests.support.project import DOMAINS, ONE_DOMAIN, Project, day
from analytics_assets_tests.support.project import test_settings as settings_in

HEADER = ",".join(CONSENT_EVENTS.columns) + "\n"


def ancestors(manifest: Manifest, name: str) -> Iterator[str]:
    """The unique ids of all that a model reads, directly or not."""
    for parent in manifest.raw["parent_map"].get(name, ()):
        yield parent
        yield from ancestors(manifest, parent)


def test_a_key_points_at_what_is_made_before_its_model_and_may_come_late(tmp_path: Path) -> None:
    manifest = load_manifest(settings_in(tmp_path))
    found = {
        node["name"]: node
        for node in manifest.raw["nodes"].values()
        if node["resource_type"] == "test" and (node["test_metadata"] or {}).get("name") == "relationships"
    }
    assert {"companies_are_known", "countries_have_a_region", "currencies_are_known"} <= found.keys()
    renewed = {test.name for node in manifest.models for test in manifest.tests_renewed_with(node)}
    assert renewed == {"touchpoints_have_a_user", "revenue_has_a_user"}
    for name, node in found.items():
        (other,) = set(node["depends_on"]["nodes"]) - {node["attached_node"]}
        is_above = other in set(ancestors(manifest, node["attached_node"]))
        assert is_above != (name in renewed), "else it may not be there yet"
        assert node["config"]["severity"].lower() == "warn"


def event(identity: str, company: str, number: int) -> str:
    values = {
        "EVENT_ID": identity,
        "APIKEY": company,
        "TYPE": "pageview",
        "RATE": "0.5",
        "EVENT_TIME": f"{day(number)} 12:00:00",
        "COUNT": "1",
    }
    return ",".join(values.get(column, "") for column in CONSENT_EVENTS.columns) + "\n"


def companies_that_are_unknown(project: Project) -> list[str]:
    said = project.settle("mart_consent_breakdown_daily").outcome.warnings
    return [sentence for sentence in said if sentence.startswith("check companies_are_known of ")]


def test_unknown_companies_are_named_with_their_day_until_their_snapshot_comes(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", ONE_DOMAIN)
    page = "PUBLIC_API_KEY,INDUSTRY_BACK,INDUSTRY_FRONT,HQ_COUNTRY\n"
    project.drop("companies", f"companies-{day(0)}.csv", f"{page}shop,Food,Retail,Spain\n")
    rows = [event("a", "shop", 1), event("b", "late", 1), event("c", "late", 2), event("d", "", 2)]
    project.drop("consent_events", "events-1.csv", HEADER + "".join(rows))
    (said,) = companies_that_are_unknown(project)
    assert f"the_day {day(1)}, company_id late, rows_without_it 1" in said
    assert "1 more" in said

    # From the day of its snapshot on the company is known; the day before it stays unknown, and is not looked at again.
    project.drop("companies", f"companies-{day(2)}.csv", f"{page}shop,Food,Retail,Spain\nlate,Toys,Games,Italy\n")
    assert companies_that_are_unknown(project) == []
    held = project.frame("mart_consent_breakdown_daily").select("the_day", "company_id", "industry_back").rows()
    assert set(held) == {
        (day(1), "shop", "Food"),
        (day(1), "late", "unknown"),
        (day(2), "late", "Toys"),
        (day(2), None, "unknown"),
    }


USERS = "user_id,installed_at,created_at,updated_at,channel,campaign\n"
PAYMENTS = "user_id,date,revenue,reward_to_user\n"
CHECK = ("stg_revenue_and_rewards", "revenue_has_a_user")
MARKETING = next(domain for domain in DOMAINS if domain.name == "attribution")


def payments_without_a_user(project: Project) -> dict[date, str]:
    """What is kept of them for `status`, by day. The key is checked once: no other check says it as well."""
    found = CheckResults(project.settings.lake_dir).read(project.window)
    assert [names for names in found if names[1] == "revenue_has_a_user"] == [CHECK]
    check = found[CHECK]
    return dict(check.objections) if check else {}


def test_users_whom_nobody_knows_are_named_until_they_come_on_whatever_day(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", [replace(MARKETING, reports=())])

    def user(name: str, number: int) -> str:
        return f"{name},{day(number)} 10:00:00,{day(number)} 10:00:00,{day(number)} 10:00:00,email,x\n"

    rows = [("ann", 1), ("ann", 1), ("bob", 1), ("bob", 2), ("eve", 3)]
    project.drop("users", "users-1.csv", USERS + user("ann", 4))
    payments = "".join(f"{name},{day(number)},{place + 1},0\n" for place, (name, number) in enumerate(rows))
    project.drop("revenue_and_rewards", "revenue_and_rewards-1.csv", PAYMENTS + payments)
    said = project.settle("int_revenue").outcome.warnings
    assert payments_without_a_user(project) == {
        day(1): "user_id bob, rows_without_it 1",
        day(2): "user_id bob, rows_without_it 1",
        day(3): "user_id eve, rows_without_it 1",
    }
    assert any("revenue_has_a_user of stg_revenue_and_rewards" in one and "user_id bob" in one for one in said)

    project.drop("users", "users-late.csv", USERS + user("bob", 0))
    made = {asset: set(days) for asset, days in project.settle("int_revenue").outcome.made.items()}
    assert made["int_revenue"] == {day(1), day(2)} and "stg_revenue_and_rewards" not in made
    assert payments_without_a_user(project) == {day(3): "user_id eve, rows_without_it 1"}, "only who is missing still"

    project.drop("users", "users-late.csv", USERS)
    project.settle("int_revenue")
    assert payments_without_a_user(project).keys() == {day(1), day(2), day(3)}, (
        "a user who is withdrawn is missing again"
    )
