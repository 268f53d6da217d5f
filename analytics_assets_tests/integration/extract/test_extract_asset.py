"""Pulls as an asset: from an API to staging and back to the watermark, whatever goes wrong on the way."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from dagster import DagsterInstance, RunRequest, SkipReason, build_schedule_context
from starlette.requests import Request

from analytics_assets.defs.campaigns.api import CampaignsApi, Record, parse_faults, served
from analytics_assets.defs.campaigns.extracts import CAMPAIGNS_EXTRACT
from analytics_assets.defs.campaigns.simulator import versions
from analytics_assets.defs.campaigns.sources import CAMPAIGNS
from analytics_assets.extract.watermark import newest_change
from analytics_assets.operations.health import State, check_health
from analytics_assets.partitions import Window
from analytics_assets.simulation.files import write_rows
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.extract import Endpoint
from analytics_assets.spec.pagination import BodyLink
from analytics_assets_tests.support.pages import Answers, Said
from analytics_assets_tests.support.project import WITHOUT_REPORTS, YESTERDAY, Project, day

pytestmark = pytest.mark.models_alone

DOMAIN: tuple[Domain, ...] = tuple(domain for domain in WITHOUT_REPORTS if domain.extracts)
KEY = "a-key-that-nobody-may-see-8a61"
EXTRACT = CAMPAIGNS_EXTRACT.asset
TODAY = YESTERDAY + timedelta(days=1)


@pytest.fixture
def known() -> list[Record]:
    """All versions of the records of five days."""
    return versions(Window.of_days(day(0), YESTERDAY), 6, Random(7))


def project_at(
    folder: Path, url: str, key: str = KEY, domains: tuple[Domain, ...] = DOMAIN, **changes: object
) -> Project:
    """A project whose API is at an address; its pages hold 100 records, as those of the demo."""
    api = {"url": url, "key": key, "patience_seconds": 20, "timeout_seconds": 0.5, "requests": 1_000, "seconds": 1}
    return Project(folder / "data", domains, {"api": {"campaigns": api | changes}})


def pulled(project: Project, *days: date) -> list[str]:
    """Pulls for some days, today by default, and stages whatever that changes; gives what failed."""
    runner = project.runner()
    if days:
        runner._execute([EXTRACT], Window.of_days(min(days), max(days)))
    else:
        runner.pull({EXTRACT})
    project.settle("stg_campaigns")
    return runner.outcome.failures


def metadata(project: Project) -> dict[str, object]:
    """What the newest pull said of itself."""
    from dagster import AssetKey

    event = project.instance.get_latest_materialization_event(AssetKey(EXTRACT))
    assert event is not None and event.asset_materialization is not None
    return {name: entry.value for name, entry in event.asset_materialization.metadata.items()}


def of_staging(project: Project) -> list[tuple]:
    columns = [
        "campaign_id",
        "date",
        "country",
        "platform",
        "impressions",
        "clicks",
        "cost_original",
        "last_updated_at",
    ]
    frame = project.frame("stg_campaigns").select(columns)
    return sorted((*row[:6], f"{row[6]:.2f}", row[7]) for row in frame.rows())


def of_api(api: CampaignsApi) -> list[tuple]:
    """The same of what the API holds now, by a few lines of its own."""
    return sorted(
        (
            record["id"],
            date.fromisoformat(line["date"]),
            line["country"],
            record["platform"],
            line["impressions"],
            line["clicks"],
            line["cost"],
            datetime.fromisoformat(record["last_updated_at"]).replace(tzinfo=None),
        )
        for record in api.visible()
        for line in record["metrics"]
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    """An instance that keeps everything on disk, as in production."""
    from analytics_assets.operations.home import prepare_dagster_home
    from analytics_assets_tests.support.project import test_settings

    monkeypatch.setenv("DAGSTER_HOME", str(prepare_dagster_home(test_settings(tmp_path / "data"))))
    with DagsterInstance.get() as instance:
        yield instance


class Now:
    """A clock of the API that is set by hand."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def at(number: int, hour: int) -> datetime:
    """An hour of day `number` of the project."""
    return datetime.combine(day(number), datetime.min.time(), UTC) + timedelta(hours=hour)


# --------------------------------------------------------------------------------------------------- the watermark


def test_pulls_day_after_day_hold_what_the_api_holds_and_ask_only_for_what_changed(
    tmp_path: Path, known: list[Record]
) -> None:
    clock = Now(at(3, 6))
    api = CampaignsApi(known, key=KEY, page_size=10, clock=clock)
    with served(api) as url:
        project = project_at(tmp_path, url)
        assert pulled(project) == []
        assert of_staging(project) == of_api(api)
        assert (metadata(project)["is_full_sweep"], metadata(project)["since"]) == (True, f"{day(0)}T00:00:00Z")
        first = len(api.requests)

        newest = max(record["last_updated_at"] for record in api.visible())
        clock.now = at(5, 6)
        assert pulled(project) == []
        assert of_staging(project) == of_api(api)
        an_hour_before = datetime.fromisoformat(newest) - timedelta(hours=1)
        assert api.requests[first]["last_updated_at"] == f"{an_hour_before:%Y-%m-%dT%H:%M:%SZ}"
        assert metadata(project)["is_full_sweep"] is False
        assert metadata(project)["dagster/partition_row_count"] < len(api.visible())

        files = list((project.settings.inbox_dir / "campaigns").iterdir())
        assert pulled(project) == []
        assert metadata(project)["records"] > metadata(project)["dagster/partition_row_count"] == 0
        assert of_staging(project) == of_api(api)
        assert list((project.settings.inbox_dir / "campaigns").iterdir()) == files


def test_an_update_to_an_old_day_makes_that_day_anew_and_no_other(tmp_path: Path, known: list[Record]) -> None:
    api = CampaignsApi(known, key=KEY)
    with served(api) as url:
        project = project_at(tmp_path, url)
        pulled(project)
        project.settle()
        old = next(record for record in api.visible() if record["metrics"][0]["date"] == str(day(1)))
        lines = [{**line, "cost": "0.01"} for line in old["metrics"][1:]]  # and a country is withdrawn
        api.records.append({**old, "metrics": lines, "last_updated_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"})
        runner = project.runner()
        runner.pull({EXTRACT})
        runner = project.settle()
    made = {asset: set(days) for asset, days in runner.outcome.made.items() if not asset.startswith("landed_")}
    assert made == project.tied_to(day(1), source="campaigns")
    assert of_staging(project) == of_api(api)


def test_the_watermark_never_passes_the_start_of_the_pull(tmp_path: Path, known: list[Record]) -> None:
    """A record says that it was changed next year; what is changed today is pulled all the same."""
    future = {**known[0], "id": "from-the-future", "last_updated_at": f"{TODAY.year + 1}-06-01T00:00:00Z"}
    api = CampaignsApi([*known, future], key=KEY)
    with served(api) as url:
        project = project_at(tmp_path, url)
        pulled(project)
        started = datetime.now(UTC)
        newest = newest_change(CAMPAIGNS_EXTRACT, project.declared)
        assert newest is not None and newest <= started
        soon = started + timedelta(minutes=1)
        api.records.append({**known[0], "id": "of-today", "last_updated_at": f"{soon:%Y-%m-%dT%H:%M:%SZ}"})
        pulled(project)
    assert {"from-the-future", "of-today"} <= set(project.frame("stg_campaigns")["campaign_id"])
    assert of_staging(project) == of_api(api)


@pytest.mark.parametrize("overlap", [0, 60])
def test_what_is_committed_late_is_caught_by_the_overlap_or_by_the_next_sweep(
    tmp_path: Path, known: list[Record], overlap: int
) -> None:
    api = CampaignsApi(known, key=KEY)
    with served(api) as url:
        project = project_at(tmp_path, url, overlap_minutes=overlap)
        pulled(project)
        newest = newest_change(CAMPAIGNS_EXTRACT, project.declared)
        assert newest is not None
        a_little, long_ago = newest - timedelta(minutes=59), newest - timedelta(days=2)
        for name, when in (("a-little-late", a_little), ("very-late", long_ago)):
            api.records.append({**known[0], "id": name, "last_updated_at": f"{when:%Y-%m-%dT%H:%M:%SZ}"})
        pulled(project)
        found = set(project.frame("stg_campaigns")["campaign_id"])
        assert ("a-little-late" in found, "very-late" in found) == (overlap == 60, False)

        swept = project.settings.lake_dir / "extracts" / "campaigns" / "swept.txt"
        a_week_ago = datetime.now(UTC) - timedelta(days=7, seconds=1)
        swept.write_text(f"{a_week_ago:%Y-%m-%dT%H:%M:%S.%fZ}")
        pulled(project)
        lines = len(known[0]["metrics"])
        assert metadata(project)["is_full_sweep"] is True
        assert metadata(project)["rows_committed_late"] == (lines if overlap == 60 else 2 * lines)
    assert of_staging(project) == of_api(api)


def test_an_earlier_day_pulls_again_what_has_changed_since_it(tmp_path: Path, known: list[Record]) -> None:
    api = CampaignsApi(known, key=KEY)
    with served(api) as url:
        project = project_at(tmp_path, url)
        pulled(project)
        asked = len(api.requests)
        assert pulled(project, day(2), day(3)) == []
        assert api.requests[asked]["last_updated_at"] == f"{day(2)}T00:00:00Z"
        assert len({request["last_updated_at"] for request in api.requests[asked:]}) == 1, "a range is one pull"
    assert of_staging(project) == of_api(api)


def test_an_earlier_day_passes_nothing_over_that_was_never_pulled(tmp_path: Path, known: list[Record]) -> None:
    """Three days without a pull, and then somebody pulls yesterday."""
    clock = Now(at(2, 6))
    api = CampaignsApi(known, key=KEY, clock=clock)
    with served(api) as url:
        project = project_at(tmp_path, url)
        pulled(project)
        clock.now = at(5, 12)
        assert pulled(project, YESTERDAY) == []
        pulled(project)
    assert of_staging(project) == of_api(api)


def test_a_file_that_a_person_drops_moves_no_watermark(tmp_path: Path, known: list[Record]) -> None:
    clock = Now(at(2, 6))
    api = CampaignsApi(known, key=KEY, clock=clock)
    with served(api) as url:
        project = project_at(tmp_path, url)
        pulled(project)
        before = newest_change(CAMPAIGNS_EXTRACT, project.declared)
        row = {"campaign_id": "mine", "platform": "search", "country": "DE", "date": str(day(1)), "currency": "EUR"}
        row |= {"impressions": "1", "clicks": "1", "conversions": "0", "cost": "1", "revenue": "0"}
        row |= {"last_updated_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        write_rows(project.settings.inbox_dir / "campaigns" / "campaigns-mine.csv", [row], CAMPAIGNS.columns)
        project.settle("stg_campaigns")
        assert newest_change(CAMPAIGNS_EXTRACT, project.declared) == before
        clock.now = at(5, 12)
        pulled(project)
    assert [row for row in of_staging(project) if row[0] != "mine"] == of_api(api)


def test_another_api_is_pulled_whole(tmp_path: Path, known: list[Record]) -> None:
    other = [{**record, "id": f"other-{record['id']}"} for record in known]
    with served(CampaignsApi(known, key=KEY)) as url:
        pulled(project_at(tmp_path, url))
    api = CampaignsApi(other, key=KEY)
    with served(api) as url:
        project = project_at(tmp_path, url)
        pulled(project)
    assert [row for row in of_staging(project) if row[0].startswith("other-")] == of_api(api)


@pytest.mark.with_checks
def test_a_version_that_says_two_things_holds_its_day_back(tmp_path: Path, known: list[Record]) -> None:
    """The API begins to tell devices apart, which the source does not know; on one day they cost the same."""
    by_device = []
    for at, costs in ((day(1), ("1", "9")), (day(2), ("5", "5"))):
        record = next(one for one in known if one["metrics"][0]["date"] == str(at))
        lines = [
            {**line, "device": name, "cost": cost}
            for line in record["metrics"]
            for name, cost in zip("ab", costs, strict=True)
        ]
        by_device.append({**record, "id": "by-device", "metrics": lines})
    with served(CampaignsApi([*known, *by_device], key=KEY)) as url:
        project = project_at(tmp_path, url)
        runner = project.runner()
        runner.pull({EXTRACT})
        runner.land({"landed_campaigns"})
        runner.settle(set(project.assets) | {"lookup_regions", "lookup_currency_rates"})
    said = [failure for failure in runner.outcome.failures if "versions_say_one_thing" in failure]
    assert all(any(str(at) in failure for failure in said) for at in (day(1), day(2))), runner.outcome.failures
    assert set(project.frame("daily_campaign_summary")["date"]) == set(project.window.days()) - {day(1), day(2)}


# ------------------------------------------------------------------------------------------------ what goes wrong

EVERYTHING = ["503@1", "cut@3", "429@4", "silent@6", "again@8", "garbage@10", "empty@11", "500@12", "502@13"]
EVERYTHING += ["408@14", "extra@15", "malformed@16", "slow@17", "encoded@18", "limit-403@20", "limit-200@22"]


def test_after_everything_that_can_go_wrong_staging_holds_what_the_api_holds(tmp_path: Path) -> None:
    known = versions(Window.of_days(day(0), YESTERDAY), 320, Random(7))  # some 16 pages of 100
    api = CampaignsApi(known, key=KEY, faults=parse_faults(EVERYTHING), silence_seconds=1)
    with served(api) as url:
        project = project_at(tmp_path, url)
        runner = project.runner()
        runner.pull({EXTRACT})
        assert runner.outcome.failures == []
        assert len(api.requests) >= 20
        project.land()
        project.settle("stg_campaigns")
    assert of_staging(project) == of_api(api)
    rejects = list((project.settings.rejects_dir / "campaigns").glob("*.parquet"))
    assert len(rejects) == 1, "the four that were no records"


def test_two_pulls_at_once_and_a_pull_after_a_failure_leave_the_same_rows(tmp_path: Path, known: list[Record]) -> None:
    api = CampaignsApi(known, key=KEY, faults={1: "slow"})
    with served(api) as url:
        project = project_at(tmp_path, url, timeout_seconds=5, patience_seconds=0)
        runners = [project.runner(), project_at(tmp_path, url, timeout_seconds=5).runner()]
        threads = [threading.Thread(target=runner.pull, args=({EXTRACT},)) for runner in runners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [runner.outcome.failures for runner in runners] == [[], []]
        project.settle("stg_campaigns")
        assert of_staging(project) == of_api(api)

        api.faults = {len(api.requests) + 1: "503"}
        (failure,) = pulled(project)
        assert "answered 503" in failure
        assert pulled(project) == []
    assert of_staging(project) == of_api(api)


@pytest.mark.parametrize("refusal", [401, 403])
def test_a_refused_pull_fails_once_says_what_to_do_and_is_listed(
    tmp_path: Path, known: list[Record], home: DagsterInstance, refusal: int
) -> None:
    api = CampaignsApi(known, key="another", refusal=refusal)
    with served(api) as url:
        project = project_at(tmp_path, url)
        project.instance = home
        (failure,) = pulled(project)
        assert f"answered {refusal}" in failure and "the key is wrong, or may not read this" in failure
        assert len(api.requests) == 1, "no try after the first, by the step or by the run"
        findings = unwell(project)
        assert [(one.asset, one.state, one.next_try) for one in findings] == [(EXTRACT, State.FAILED, "again tomorrow")]
        assert "the key is wrong" in findings[0].why
        assert isinstance(asked_for(project), SkipReason)
        api.key = KEY
        assert pulled(project) == []
        assert unwell(project) == []


def unwell(project: Project) -> list:
    found = check_health(
        project.definitions.resolve_asset_graph(), project.declared, project.instance, datetime.now(UTC)
    )
    return [finding for finding in found.findings if finding.asset == EXTRACT]


def test_without_an_address_nothing_is_pulled_and_nobody_held_up(tmp_path: Path, home: DagsterInstance) -> None:
    project = Project(tmp_path / "data", DOMAIN)
    project.instance = home
    runner = project.runner()
    runner.pull({EXTRACT, "landed_campaigns"})
    assert runner.outcome.failures == [], "it is left out where other things are asked for, too"
    runner.pull({EXTRACT})
    (failure,) = runner.outcome.failures
    assert "set ANALYTICS_API__CAMPAIGNS__URL and ANALYTICS_API__CAMPAIGNS__KEY" in failure
    assert pulled(project, TODAY) == [], "as when everything is made from the UI"
    assert failure.endswith(str(metadata(project)["pulled_nothing"]))
    skipped = asked_for(project)
    assert isinstance(skipped, SkipReason) and "no address is set" in str(skipped.skip_message)


# ---------------------------------------------------------------------------------------------------- the schedule


def asked_for(project: Project, hour: int = 7) -> RunRequest | SkipReason:
    """What the schedule asks for at an hour of today."""
    schedule = project.definitions.resolve_schedule_def("pulls")
    now = datetime.combine(TODAY, datetime.min.time(), UTC) + timedelta(hours=hour, minutes=7)
    repository = project.definitions.get_repository_def()
    with build_schedule_context(
        instance=project.instance, repository_def=repository, scheduled_execution_time=now
    ) as context:
        data = schedule.evaluate_tick(context)
    return data.run_requests[0] if data.run_requests else SkipReason(data.skip_message)


def test_the_schedule_asks_for_the_days_pull_until_it_is_made(
    tmp_path: Path, known: list[Record], home: DagsterInstance
) -> None:
    api = CampaignsApi(known, key=KEY, faults={1: "503"})
    with served(api) as url:
        project = project_at(tmp_path, url, patience_seconds=0)
        project.instance = home
        for _ in range(2):
            request = asked_for(project)
            assert isinstance(request, RunRequest)
            assert [key.path[-1] for key in request.asset_selection or ()] == [EXTRACT]
            assert request.tags["dagster/asset_partition_range_start"] == str(TODAY)
            pulled(project)
        skipped = asked_for(project)
        assert isinstance(skipped, SkipReason) and "made already" in str(skipped.skip_message)


# ----------------------------------------------------------------------------------------------------------- secrets


def _pull_of_one_that_repeats_the_key(folder: Path, home: DagsterInstance, spec: dict[str, str]) -> None:
    """Pulls of an API that writes the key into its links, its headers and its errors, wherever the key is sent."""
    endpoint = Endpoint("campaigns", BodyLink("paging.next"), **spec)  # type: ignore[arg-type]
    extract = replace(CAMPAIGNS_EXTRACT, endpoint=endpoint)
    domains = tuple(replace(domain, extracts=(extract,)) for domain in DOMAIN)

    def linked(request: Request) -> object:
        link = str(request.url.include_query_params(access_token=KEY, api_key=KEY, page=2))
        headers = {"X-Debug": f"{KEY}", "Link": f'<{link}>; rel="next"', "Set-Cookie": f"key={KEY}"}
        return Said({"data": [{"id": "1", "self": link, "key": KEY}], "paging": {"next": link}}, headers=headers)

    def refused(request: Request) -> object:
        sent = f"{request.url} {request.headers.get('authorization')}"
        return Said({"error": {"message": f"no right: {sent}", KEY: KEY}, KEY: KEY}, 403, {"X-Debug": KEY})

    last, astray = {"data": [], "paging": {"next": None}}, {"data": [], "paging": {"next": f"/{KEY}/2"}}
    for said in ([linked, last], [linked, refused], [{KEY: [KEY]}], [linked, astray]):
        with served(Answers(said)) as url:  # type: ignore[arg-type]
            project = project_at(folder, url, domains=domains, patience_seconds=1)
            project.instance = home
            failures = pulled(project)
            assert len(failures) == (said[-1] is not last), failures


def test_the_key_stands_in_nothing_that_a_run_wrote(
    tmp_path: Path,
    known: list[Record],
    home: DagsterInstance,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Pulls that succeed, fail, are refused and cannot reach the API; then all files and all output are searched."""
    faults = [{}, dict.fromkeys(range(1, 99), "500"), {1: "403"}, {1: "garbage", 2: "cut", 3: "404"}]
    with caplog.at_level("DEBUG"):
        for fault in faults:
            api = CampaignsApi(known, key=KEY, faults=fault)
            with served(api) as url:
                project = project_at(tmp_path, url, patience_seconds=1)
                project.instance = home
                pulled(project)
        project = project_at(tmp_path, "http://127.0.0.1:9", patience_seconds=0)
        project.instance = home
        pulled(project)
        broken = project_at(tmp_path, url, key=f"{KEY}\nX: y")
        broken.instance = home
        (failure,) = pulled(broken)
        assert "characters that cannot stand in a header" in failure
        for spec in ({"key_parameter": "access_token"}, {"key_header": "Authorization", "key_prefix": "Bearer "}):
            _pull_of_one_that_repeats_the_key(tmp_path, home, spec)
    said = capfd.readouterr()
    assert "campaigns" in said.out + said.err + caplog.text
    assert KEY not in said.out + said.err + caplog.text
    written = [Path(folder, name) for folder, _, names in os.walk(tmp_path) for name in names]
    assert len(written) > 50
    assert [str(file) for file in written if KEY.encode() in file.read_bytes()] == []
    assert KEY not in repr(project.settings) + str(project.settings.model_dump())


# ---------------------------------------------------------------------------------------------------- second opinion


def test_dlt_pulls_the_same_rows(tmp_path: Path, known: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    from dlt.sources.helpers.rest_client import RESTClient
    from dlt.sources.helpers.rest_client.auth import APIKeyAuth
    from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

    with served(CampaignsApi(known, key=KEY, page_size=10)) as url:
        theirs = RESTClient(
            url,
            auth=APIKeyAuth(name="api_key", api_key=KEY, location="header"),
            paginator=JSONResponseCursorPaginator(cursor_path="next_cursor", cursor_param="cursor"),
            data_selector="data",
        )
        expected = [record for page in theirs.paginate("campaigns") for record in page]
        project = project_at(tmp_path, url)
        project.runner().pull({EXTRACT})
    (file,) = (project.settings.inbox_dir / "campaigns").iterdir()
    ours = [json.loads(line)["record"] for line in file.read_text().splitlines()]
    assert ours == expected
    assert len(ours) == 30
