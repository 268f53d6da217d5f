"""Keys that point at another model or seed: what it does not hold is named, by day, until it is there."""

from collections.abc import Iterator
from pathlib import Path

from analytics_assets.dbt.project import load_manifest
from analytics_assets.defs.consent.sources import CONSENT_EVENTS
from analytics_assets.spec.model_node import Manifest
from analytics_assets_tests.support.project import ONE_DOMAIN, Project, day
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
    for node in found.values():
        (other,) = set(node["depends_on"]["nodes"]) - {node["attached_node"]}
        assert other in set(ancestors(manifest, node["attached_node"])), "else it may not be there yet"
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
    said = project.settle().outcome.warnings
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
