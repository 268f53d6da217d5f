"""The first and the last day that have a partition are moved: what lies outside waits, is told, and comes back."""

from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from analytics_assets.defs.consent.sources import CONSENT_EVENTS
from analytics_assets.ingest.rows_without_partition import waiting_rows
from analytics_assets.operations.health import State, check_health
from analytics_assets.operations.reconciliation import reconcile
from analytics_assets.partitions import Window
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.inbox import Inbox
from analytics_assets_tests.support.project import ONE_DOMAIN, Project, day
from analytics_assets_tests.support.visits import HEADER as VISITS_HEADER
from analytics_assets_tests.support.visits import SHOPS, VISITS, MakeInbox

pytestmark = pytest.mark.models_alone

NOW = datetime(2025, 6, 15, 12, tzinfo=UTC)


def visits_of(inbox: Inbox, *days: str) -> None:
    inbox.drop("a.csv", VISITS_HEADER + "".join(f"{n},{at} 10:00:00,1,1,\n" for n, at in enumerate(days)))
    inbox.land()


def test_rows_that_wait_are_told_with_the_setting_that_lets_them_in(inbox: MakeInbox) -> None:
    visits = inbox(VISITS, start_date=date(2025, 6, 1), end_date=date(2025, 6, 10))
    visits_of(visits, "2013-01-02", "2013-12-31", "2025-06-05", "2025-06-12", "2999-01-01")
    early, late = waiting_rows(VISITS, visits.settings, NOW)
    assert early == (
        "2 rows of 2013-01-02 to 2013-12-31 wait: the first partition is 2025-06-01;"
        " set ANALYTICS_START_DATE to 2013-01-02 to let all of them in"
    )
    assert late.startswith(
        "2 rows of 2025-06-12 to 2999-01-01 wait: the last partition is 2025-06-10; set ANALYTICS_END"
    )


def test_rows_of_today_wait_untold_and_rows_of_days_to_come_are_told(inbox: MakeInbox) -> None:
    visits = inbox(VISITS, start_date=date(2025, 6, 1), end_date=None)
    visits_of(visits, "2025-06-15", "2025-06-14")
    assert waiting_rows(VISITS, visits.settings, NOW) == []
    visits_of(visits, "2025-06-15", "2025-06-17")
    (said,) = waiting_rows(VISITS, visits.settings, NOW)
    assert said.startswith("1 row of 2025-06-17 wait until")


def test_a_snapshot_from_before_the_first_partition_does_not_wait(inbox: MakeInbox) -> None:
    shops = inbox(SHOPS, start_date=date(2025, 6, 1), end_date=date(2025, 6, 10))
    for at in ("2025-05-01", "2025-05-20", "2025-06-05", "2025-06-12"):
        shops.drop(f"shops-{at}.csv", "id,city\n1,Rome\n")
    shops.land()
    (late,) = waiting_rows(SHOPS, shops.settings, NOW)
    assert late.startswith("1 row of 2025-06-12 wait: the last partition")


def at(project: Project, **changes: object) -> Project:
    """The same project with another first or last day."""
    other = Project(project.folder, project.domains, changes)
    other.instance = project.instance
    return other


def published_days(project: Project) -> set[date]:
    with duckdb.connect(str(project.settings.published_file), read_only=True) as connection:
        return {day for (day,) in connection.execute("select event_date from marts.mart_company_daily").fetchall()}


def test_days_without_a_partition_are_taken_out_and_come_back(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", ONE_DOMAIN)
    project.drop("consent_events", "events-1.csv", HEADER + "".join(event(f"e{n}", day(n)) for n in range(5)))
    project.drop("companies", f"companies-{day(1)}.csv", "APIKEY,NAME\n")
    project.settle()
    before = project.tables()

    less, held = at(project, start_date=day(1), end_date=day(3)), Window.of_days(day(1), day(3))
    graph = less.definitions.resolve_asset_graph()
    found = check_health(graph, less.declared, less.instance, datetime.now(UTC)).findings
    assert {f.asset for f in found if f.state is State.STALE} >= {"raw_consent_events", "mart_company_daily"}
    waiting = [f.why for f in found if f.state is State.WAITING]
    assert [why.partition(" wait")[0] for why in waiting] == [f"1 row of {day(0)}", f"1 row of {day(4)}"]

    outcome = less.settle().outcome
    assert outcome.failures == []
    assert [warning for warning in outcome.warnings if " wait" in warning] == [f"consent_events: {w}" for w in waiting]
    assert reconcile(CONSENT_EVENTS, less.declared, datetime.now(UTC)).faults == []
    after = less.tables()
    assert [where for where in after if not held.holds(where[1])] == []
    assert published_days(less) == set(held.days())
    assert less.requested() == {}
    less.forget_builds()
    less.settle()
    assert less.tables() == after

    back = at(project)
    back.settle()
    assert back.tables() == before
    assert published_days(back) == {day(n) for n in range(5)}
