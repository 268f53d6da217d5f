"""What runs on BigQuery say and cost: the emulator does the work, and a proxy before it says what BigQuery would."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zlib import crc32

import pytest
from dagster import AssetKey

from analytics_assets.defs.campaigns.api import CampaignsApi
from analytics_assets.defs.campaigns.api import served as serving
from analytics_assets.defs.campaigns.extracts import CAMPAIGNS_EXTRACT
from analytics_assets.defs.campaigns.simulator import versions
from analytics_assets.defs.campaigns.sources import CAMPAIGNS
from analytics_assets.extract.watermark import newest_change
from analytics_assets.operations.reconciliation import reconcile
from analytics_assets.partitions import Window
from analytics_assets.state.attempts import Attempts
from analytics_assets.warehouse.choice import warehouse_of
from analytics_assets.warehouse.interface import CannotRead
from analytics_assets_tests.support.bigquery_api import Resource
from analytics_assets_tests.support.bigquery_proxy import Costs, Proxy, before
from analytics_assets_tests.support.emulator import BigQueryProject, Emulator, emulating
from analytics_assets_tests.support.project import WITHOUT_REPORTS, YESTERDAY, day

DOMAIN = tuple(domain for domain in WITHOUT_REPORTS if domain.name == "campaigns")
LIMIT = 10**9
KEY = "a-key"


def costs_of(sql: str) -> Costs:
    """Other ones for each statement."""
    number = crc32(sql.encode())
    return {"bytes_processed": number % LIMIT, "bytes_billed": 10 * 2**20 + number % 1_000, "slot_ms": number % 60_000}


@pytest.fixture(scope="module")
def api() -> CampaignsApi:
    return CampaignsApi(versions(Window.of_days(day(0), YESTERDAY), 6, Random(7)), key=KEY)


@pytest.fixture(scope="module")
def behind() -> Iterator[tuple[Proxy, str]]:
    with emulating() as emulator, before(emulator.url) as found:
        yield found


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, behind: tuple[Proxy, str], api: CampaignsApi
) -> Iterator[BigQueryProject]:
    """Five days of campaigns that were pulled and made; what a test changes of the proxy, it changes back."""
    proxy, url = behind
    proxy.costs = costs_of
    with serving(api) as address:
        campaigns = {"url": address, "key": KEY, "requests": 1_000, "seconds": 1}
        project = BigQueryProject(
            tmp_path_factory.mktemp("runs") / "data",
            DOMAIN,
            {"api": {"campaigns": campaigns}},
            emulator=Emulator(url),
            places={"maximum_bytes_billed": LIMIT},
        )
        pull(project)
        yield project


def pull(project: BigQueryProject, *models: str) -> None:
    """Pulls, and makes all models that change by that, or some."""
    runner = project.runner()
    runner.pull({CAMPAIGNS_EXTRACT.asset})
    project.land()
    runner.settle({"raw_campaigns", *(models or project.models)})
    assert runner.outcome.failures == []


@pytest.fixture
def proxy(behind: tuple[Proxy, str], project: BigQueryProject) -> Iterator[Proxy]:
    proxy, _ = behind
    yield proxy
    proxy.costs = costs_of


def metadata_by_day(project: BigQueryProject, model: str) -> dict[str, dict[str, Any]]:
    """What the newest materialization of each day says."""
    found = {}
    for record in project.instance.fetch_materializations(AssetKey(model), limit=1_000, ascending=True).records:
        event = record.asset_materialization
        assert event is not None and event.partition is not None
        found[event.partition] = {name: entry.value for name, entry in event.metadata.items()}
    return found


def statement_of(proxy: Proxy, job_id: str) -> str:
    """The statement that a job was asked to run."""
    (sql,) = {
        one.body["configuration"]["query"]["query"]
        for one in proxy.requests
        if one.method == "POST" and one.body.get("jobReference", {}).get("jobId") == job_id
    }
    return sql


# ------------------------------------------------------------------------------------------------------------ costs


def test_each_day_says_what_the_statement_that_made_it_cost_as_bigquery_said_it(
    project: BigQueryProject, proxy: Proxy
) -> None:
    for model in project.models:
        found = metadata_by_day(project, model)
        assert set(found) == {str(day(number)) for number in range(5)}
        (job_id,) = {said["job_id"] for said in found.values()}
        sql = statement_of(proxy, job_id)
        assert re.search(rf"create (table|or replace view) `[^`]+`\.`[^`]+`\.`{model}`", sql)
        costs = costs_of(sql)
        for said in found.values():
            assert said["bytes_processed"] == costs["bytes_processed"]
            assert said["bytes_billed"] == costs["bytes_billed"]
            assert said["slot_seconds"] == costs["slot_ms"] / 1000
            assert said["days_of_the_job"] == 5


def test_what_bigquery_does_not_say_is_nought_and_the_job_is_named_all_the_same(
    project: BigQueryProject, proxy: Proxy
) -> None:
    proxy.costs = lambda sql: {}
    runner = project.runner()
    assert runner._execute(["daily_campaign_summary"], Window.of_days(day(0), day(0))), runner.outcome.failures
    said = metadata_by_day(project, "daily_campaign_summary")[str(day(0))]
    assert (said["bytes_processed"], said["bytes_billed"], said["slot_seconds"]) == (0, 0, 0.0)
    assert said["days_of_the_job"] == 1
    assert "daily_campaign_summary" in statement_of(proxy, said["job_id"])


def test_no_query_is_asked_without_the_limit(project: BigQueryProject, proxy: Proxy) -> None:
    by_dbt, own = (
        [query for one in proxy.requests if one.method == "POST" and one.path.endswith(end) for query in queries(one)]
        for end in ("/jobs", "/queries")
    )
    assert len(by_dbt) > 20 and own
    assert {query.get("maximumBytesBilled") for query in (*by_dbt, *own)} == {str(LIMIT)}


def queries(asked: Any) -> list[Resource]:
    body = asked.body
    query = body if "query" in body else body.get("configuration", {}).get("query")
    return [query] if query else []


def test_a_query_over_the_limit_is_refused_once_and_the_days_say_what_to_do(
    project: BigQueryProject, proxy: Proxy
) -> None:
    table = "core_campaign_performance"

    def dear(sql: str) -> Costs:
        return {
            **costs_of(sql),
            "bytes_processed": 2 * LIMIT if "merge into `a-project`" in sql and table in sql else 1,
        }

    proxy.costs, asked = dear, len(proxy.requests)
    runner = project.runner()
    assert not runner._execute([table], Window.of_days(day(1), day(2)))
    (failure,) = runner.outcome.failures
    assert f"Query exceeded limit for bytes billed: {LIMIT}. {2 * LIMIT} or higher required." in failure
    assert failure.count("Query exceeded limit") == 1
    assert failure.endswith("Raise ANALYTICS_BIGQUERY__MAXIMUM_BYTES_BILLED, or make fewer days in one run.")
    tried = [one for one in proxy.requests[asked:] for query in queries(one) if "merge into" in query["query"]]
    assert len(tried) == 1, "neither dbt nor the step tries again what is refused again"
    attempts = Attempts(project.settings.lake_dir).read(table, project.window)
    assert set(attempts) == {day(1), day(2)}
    assert all(attempt.permanent and "MAXIMUM_BYTES_BILLED" in attempt.reason for attempt in attempts.values())

    proxy.costs = costs_of
    project.settle()
    assert Attempts(project.settings.lake_dir).read(table, project.window) == {}
    assert metadata_by_day(project, table)[str(day(1))]["days_of_the_job"] == 2


def test_our_own_query_over_the_limit_is_refused_in_a_sentence(project: BigQueryProject, proxy: Proxy) -> None:
    proxy.costs = lambda sql: {**costs_of(sql), "bytes_processed": 2 * LIMIT}
    with (
        warehouse_of(project.settings).reading() as reader,
        pytest.raises(CannotRead, match=r"^Query exceeded limit.*BYTES_BILLED, or make fewer days in one run\.$"),
    ):
        reader.rows("select 1")


# ------------------------------------------------------------------------------------------------------ the watermark


def of_whole_table(project: BigQueryProject) -> datetime:
    with warehouse_of(project.settings).reading() as reader:
        changed, pulled = CAMPAIGNS_EXTRACT.changed, CAMPAIGNS_EXTRACT.pulled
        table = project.node("stg_campaigns")["relation_name"]
        days = f"date >= date '{day(0)}'"
        ((newest,),) = reader.rows(f"select max(least({changed}, {pulled})) from {table} where {days}").rows
    return newest.replace(tzinfo=UTC)


def days_asked(proxy: Proxy, since: int) -> list[set[date]]:
    """The days that each query names."""
    found = []
    for one in proxy.requests[since:]:
        for query in queries(one):
            spans = re.findall(r"date >= date '([\d-]+)' and date < date '([\d-]+)'", query["query"])
            windows = [Window(date.fromisoformat(start), date.fromisoformat(end)) for start, end in spans]
            found.append({the_day for window in windows for the_day in window.days()})
    return found


def test_the_watermark_reads_only_the_partitions_that_were_made_anew(
    project: BigQueryProject, proxy: Proxy, api: CampaignsApi
) -> None:
    (project.settings.lake_dir / "extracts" / "campaigns" / "watermark.json").unlink(missing_ok=True)
    expected, asked = of_whole_table(project), len(proxy.requests)
    assert newest_change(CAMPAIGNS_EXTRACT, project.declared) == expected
    assert days_asked(proxy, asked) == [set(project.window.days())]

    asked = len(proxy.requests)
    assert newest_change(CAMPAIGNS_EXTRACT, project.declared) == expected
    assert len(proxy.requests) == asked, "nothing has changed, so nothing is asked"

    changed = [day(1), day(3)]
    for the_day in changed:
        record = next(one for one in api.visible() if one["metrics"][0]["date"] == str(the_day))
        now = datetime.now(UTC) + timedelta(minutes=the_day.day)
        api.records.append({**record, "last_updated_at": f"{now:%Y-%m-%dT%H:%M:%SZ}"})
    pull(project, "src_campaigns", "stg_campaigns")
    expected, asked = of_whole_table(project), len(proxy.requests)
    assert newest_change(CAMPAIGNS_EXTRACT, project.declared) == expected
    assert days_asked(proxy, asked) == [set(changed)]


# ---------------------------------------------------------------------------------------------------------- the prompt


def test_the_reconciliation_adds_up(project: BigQueryProject) -> None:
    found = reconcile(CAMPAIGNS, project.declared, datetime.now(UTC))
    assert found.faults == []
    assert found.raw == found.src == project.frame("raw_campaigns").height > found.stg > 0
