"""Pulls: what an API holds becomes files in the inbox, whatever the API, the process or the machine does meanwhile."""

import json
import os
import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from analytics_assets.defs.campaigns.api import CampaignsApi, Record, parse_faults, served
from analytics_assets.defs.campaigns.extracts import CAMPAIGNS_EXTRACT
from analytics_assets.defs.campaigns.sources import CAMPAIGNS
from analytics_assets.extract.pull import Pull, Pulled, Span
from analytics_assets.extract.rest import RestError, RestRefused, RestUnavailable
from analytics_assets.ingest.landing import Landing
from analytics_assets.settings import Settings
from analytics_assets.spec.pagination import PageNumbers, Pagination
from analytics_assets.spec.source import Kind, Source
from analytics_assets_tests.support.project import test_settings
from analytics_assets_tests.support.pulls import CURSOR, EVER, api_at, dropped, extract_with, pull
from analytics_assets_tests.support.rest import ALL_PAGINATIONS, records

DELIVERED = replace(CAMPAIGNS, kind=Kind.DELIVERY, time=None)
"""The same source if its rows stood on the day of their pull."""


def ids(lines: Sequence[Record]) -> list[str]:
    return [line["record"]["id"] for line in lines]


# ------------------------------------------------------------------------------------------------- what is pulled


@ALL_PAGINATIONS
def test_a_pull_drops_one_file_with_every_record_once(tmp_path: Path, pagination: Pagination) -> None:
    with served(CampaignsApi(records(37))) as url:
        settings, pulled = pull(tmp_path, url, pagination=pagination)
    assert pulled.file is not None
    assert [line["record"] for line in dropped(settings)] == records(37)
    assert {line["pulled_at"] for line in dropped(settings)} == {pulled.progress.started_at}
    assert [line["page"] for line in dropped(settings)] == [1 + number // 10 for number in range(37)]
    assert pulled.progress.records == 37
    assert CAMPAIGNS.matches(pulled.file.name)
    assert [file.name for file in (settings.inbox_dir / "campaigns").iterdir()] == [pulled.file.name]


def test_where_nothing_has_changed_no_file_is_dropped(tmp_path: Path) -> None:
    with served(CampaignsApi(records(5))) as url:
        settings, pulled = pull(tmp_path, url, Span(datetime(2027, 1, 1, tzinfo=UTC)))
    assert (pulled.file, pulled.progress.pages, dropped(settings)) == (None, 1, [])


def test_a_rate_limit_in_the_body_is_waited_for_by_the_pull_of_campaigns_and_nothing_new_is_no_file(
    tmp_path: Path,
) -> None:
    settings = test_settings(tmp_path)
    api = CampaignsApi(records(37), page_size=10, faults=parse_faults(["limit-200@2", "limit-403@3", "nothing@7"]))
    with served(api) as url:
        extract = replace(CAMPAIGNS_EXTRACT, endpoint=replace(CAMPAIGNS_EXTRACT.endpoint, parameters={}))
        first = Pull(extract, api_at(url), settings).run(lambda: EVER)
        assert (first.progress.records, len(dropped(settings)), len(api.requests)) == (37, 37, 6)
        second = Pull(extract, api_at(url), settings).run(lambda: EVER)
    assert (second.progress.records, second.progress.pages, second.file, len(api.requests)) == (0, 1, None, 7)


def test_a_pull_that_met_its_limit_is_gone_on_with(tmp_path: Path) -> None:
    api = CampaignsApi(records(95), faults={4: "slow"})
    with served(api) as url:
        with pytest.raises(RestUnavailable, match=r"did not end within 0.01 minutes; what was fetched is kept"):
            pull(tmp_path, url, pull_minutes=0.01, timeout_seconds=30)
        assert dropped(test_settings(tmp_path)) == []
        settings, pulled = pull(tmp_path, url)
    assert [line["record"] for line in dropped(settings)] == records(95)
    assert pulled.progress.resumed == 1


@pytest.mark.parametrize(
    ("fault", "doubled"),
    [("cut", 0), ("silent", 0), ("500", 0), ("502", 0), ("503", 0), ("429", 0), ("408", 0), ("garbage", 0),
     ("encoded", 0), ("limit-403", 0), ("empty", 0), ("again", 10), ("extra", 0), ("retyped", 0)],
)  # fmt: skip
@ALL_PAGINATIONS
def test_whatever_goes_wrong_no_record_is_lost(
    tmp_path: Path, pagination: Pagination, fault: str, doubled: int
) -> None:
    if fault == "empty" and isinstance(pagination, PageNumbers):
        pytest.skip("an empty page is the end of numbered pages")
    api = CampaignsApi(records(37), faults=parse_faults([f"{fault}@2"]), silence_seconds=1)
    with served(api) as url:
        settings, _ = pull(tmp_path, url, pagination=pagination)
    assert set(ids(dropped(settings))) == set(ids([{"record": record} for record in records(37)]))
    assert len(dropped(settings)) == 37 + doubled


def test_records_that_are_none_stand_in_the_file_and_are_rejected_with_a_reason(tmp_path: Path) -> None:
    with served(CampaignsApi(records(37), faults=parse_faults(["malformed@2"]))) as url:
        settings, _ = pull(tmp_path, url)
    assert len(dropped(settings)) == 37 + 4
    report = Landing(settings, CAMPAIGNS).run()
    (content,) = report.landed.values()
    assert content.accepted_rows + content.rejected_rows == 37 + 4
    assert content.rejected_rows == 4


def test_ties_on_one_second_are_not_lost_even_without_overlap(tmp_path: Path) -> None:
    """Five records of one second: two are there at the first pull, and three are committed after it."""
    tied = records(8)[3:]
    assert len({record["last_updated_at"] for record in tied}) == 1
    api = CampaignsApi(tied[:2])
    with served(api) as url:
        settings, _ = pull(tmp_path, url)
        api.records += tied[2:]
        newest = datetime.strptime(tied[0]["last_updated_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        pull(tmp_path, url, Span(newest))
    assert set(ids(dropped(settings))) == {record["id"] for record in tied}


@ALL_PAGINATIONS
def test_what_shifts_between_pages_is_complete_by_the_next_sweep(tmp_path: Path, pagination: Pagination) -> None:
    api = CampaignsApi(records(37), faults=parse_faults(["shift@1"]))
    with served(api) as url:
        settings, _ = pull(tmp_path, url, pagination=pagination)
        missed = {record["id"] for record in records(37)} - set(ids(dropped(settings)))
        assert missed == {"campaign-0010"}, "the first record of the second page had moved to the first one"
        pull(tmp_path, url, Span(EVER.since, is_sweep=True), pagination)
    assert set(ids(dropped(settings))) == {record["id"] for record in records(37)}


def an_older_spec_lacked(column: str, settings: Settings) -> None:
    """Takes a column out of a landed piece, as if it had been landed before the spec had that column."""
    piece, *_ = sorted(settings.landed_dir.glob("*/*/*.parquet"))
    pl.read_parquet(piece).drop(column).write_parquet(piece)


@pytest.mark.parametrize("changes", [{"kind": Kind.SNAPSHOT}, {"kind": Kind.DELIVERY, "complete": True}])
def test_a_pull_which_drops_only_new_records_fills_no_source_whose_files_are_whole_lists(
    changes: dict[str, object],
) -> None:
    with pytest.raises(ValueError, match="never the whole list"):
        replace(extract_with(CURSOR), source=replace(CAMPAIGNS, time=None, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [CAMPAIGNS, DELIVERED], ids=["facts", "a delivery"])
def test_a_sweep_says_how_many_rows_were_committed_too_late_for_the_pulls_before_it(
    tmp_path: Path, source: Source
) -> None:
    api = CampaignsApi(records(37), faults=parse_faults(["late@2"]))
    usual = datetime(2026, 1, 6, 0, 0, 5, tzinfo=UTC)
    settings, extract = test_settings(tmp_path), replace(extract_with(CURSOR), source=source)
    with served(api) as url:

        def pulled(span: Span) -> Pulled:
            return Pull(extract, api_at(url), settings).run(lambda: span)

        first = pulled(Span(EVER.since, is_sweep=True))
        assert first.committed_late is None, "before the first pull nothing can be late"
        Landing(settings, source).run()
        an_older_spec_lacked("budget_amount", settings)
        second = pulled(Span(usual))
        assert (second.committed_late, second.progress.new) == (None, 0)
        third = pulled(Span(EVER.since, is_sweep=True, usual=usual))
        assert third.committed_late == 1
        Landing(settings, source).run()
        fourth = pulled(Span(EVER.since, is_sweep=True, usual=usual))
        assert fourth.committed_late == 0


def test_what_has_landed_is_not_dropped_again_and_what_has_not_is(tmp_path: Path) -> None:
    api = CampaignsApi(records(37))
    with served(api) as url:
        settings, first = pull(tmp_path, url)
        assert first.file is not None
        _, second = pull(tmp_path, url)
        assert second.progress.new == 37, "it lies in the inbox, where somebody may still take it away"
        assert second.file is not None
        second.file.unlink()
        Landing(settings, CAMPAIGNS).run()
        first.file.unlink()
        _, third = pull(tmp_path, url)
        assert (third.progress.records, third.progress.new, third.file) == (37, 0, None)

        api.records.append({**records(37)[5], "name": "a new name"})
        _, fourth = pull(tmp_path, url)
        assert fourth.progress.new == 1

        first.file.write_text("")  # the name is given to something else: what it held is no longer there
        Landing(settings, CAMPAIGNS).run()
        _, fifth = pull(tmp_path, url)
        assert fifth.progress.new == 36
        Landing(settings, CAMPAIGNS).run()
        newer = replace(extract_with(CURSOR), source=replace(CAMPAIGNS, version=2))
        assert Pull(newer, api_at(url), settings).run(lambda: EVER).progress.new == 37, (
            "a new spec may read it otherwise"
        )
        shutil.rmtree(settings.lake_dir)
        _, sixth = pull(tmp_path, url)
        assert sixth.progress.new == 37


# -------------------------------------------------------------------------------------------------- what survives


@ALL_PAGINATIONS
def test_a_pull_that_failed_goes_on_where_it_stopped(tmp_path: Path, pagination: Pagination) -> None:
    api = CampaignsApi(records(95), faults=dict.fromkeys(range(7, 500), "503"))
    with served(api) as url:
        with pytest.raises(RestError, match="answered 503"):
            pull(tmp_path, url, pagination=pagination, patience_seconds=0)
        settings = test_settings(tmp_path)
        assert dropped(settings) == [], "nothing is half visible"
        api.faults, asked = {}, len(api.requests)
        _, pulled = pull(tmp_path, url, Span(datetime(2030, 1, 1, tzinfo=UTC)), pagination)
    assert [line["record"] for line in dropped(settings)] == records(95)
    assert pulled.progress.resumed == 1
    assert len(api.requests) - asked == (5 if isinstance(pagination, PageNumbers) else 4), "six pages were there"


def test_what_asks_for_more_than_the_pull_that_stopped_is_pulled_after_it(tmp_path: Path) -> None:
    api = CampaignsApi(records(95), faults={3: "503"})
    late = Span(datetime(2026, 1, 6, 0, 0, 5, tzinfo=UTC))
    with served(api) as url:
        with pytest.raises(RestError):
            pull(tmp_path, url, late, patience_seconds=0)
        settings, pulled = pull(tmp_path, url, EVER)
    assert (pulled.progress.resumed, pulled.progress.records) == (0, 95)
    assert set(ids(dropped(settings))) == {record["id"] for record in records(95)}


def test_a_pull_that_was_not_handed_over_is_no_pull_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = CampaignsApi(records(30))
    with served(api) as url:
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "copyfile", lambda *_: (_ for _ in ()).throw(OSError("the inbox is not there")))
            with pytest.raises(OSError, match="not there"):
                pull(tmp_path, url)
        api.records = records(37)
        settings, pulled = pull(tmp_path, url)
    assert pulled.progress.records == 37
    assert set(ids(dropped(settings))) == {record["id"] for record in records(37)}


def test_a_damaged_store_of_known_records_begins_anew(tmp_path: Path) -> None:
    folder = test_settings(tmp_path).lake_dir / "extracts" / "campaigns"
    with served(CampaignsApi(records(37))) as url:
        pull(tmp_path, url)
        Landing(test_settings(tmp_path), CAMPAIGNS).run()
        (folder / "known.sqlite").write_text("rubbish" * 1_000)
        (folder / "swept.txt").write_text("")
        _, pulled = pull(tmp_path, url)
        assert pulled.progress.new == 37
        assert Pull(extract_with(CURSOR), api_at(url), test_settings(tmp_path)).swept_at() is None


def test_an_api_that_has_forgotten_the_page_is_pulled_anew(tmp_path: Path) -> None:
    api = CampaignsApi(records(37), faults={3: "500"})
    with served(api) as url:
        with pytest.raises(RestError):
            pull(tmp_path, url, patience_seconds=0)
        api.faults = {4: "410"}
        settings, pulled = pull(tmp_path, url)
    assert [line["record"] for line in dropped(settings)] == records(37)
    assert pulled.progress.pages == 4


def test_a_refused_key_leaves_what_was_fetched(tmp_path: Path) -> None:
    api = CampaignsApi(records(37), faults={3: "403"})
    with served(api) as url:
        with pytest.raises(RestRefused):
            pull(tmp_path, url)
        settings, pulled = pull(tmp_path, url)
    assert ids(dropped(settings)) == [record["id"] for record in records(37)]
    assert (pulled.progress.resumed, len(api.requests)) == (1, 5)


@pytest.mark.parametrize("broken", ["", "{", '{"asked": 1}', "[]"])
def test_a_state_that_cannot_be_read_is_left_aside(tmp_path: Path, broken: str) -> None:
    folder = test_settings(tmp_path).lake_dir / "extracts" / "campaigns"
    folder.mkdir(parents=True)
    (folder / "progress.json").write_text(broken)
    (folder / "pages.jsonl").write_text("rubbish\n")
    with served(CampaignsApi(records(37))) as url:
        settings, _ = pull(tmp_path, url)
    assert [line["record"] for line in dropped(settings)] == records(37)


def test_pages_that_a_power_cut_took_are_pulled_anew(tmp_path: Path) -> None:
    api = CampaignsApi(records(37), faults={4: "500"})
    with served(api) as url:
        with pytest.raises(RestError):
            pull(tmp_path, url, patience_seconds=0)
        pages = test_settings(tmp_path).lake_dir / "extracts" / "campaigns" / "pages.jsonl"
        os.truncate(pages, 100)
        settings, pulled = pull(tmp_path, url)
    assert [line["record"] for line in dropped(settings)] == records(37)
    assert pulled.progress.resumed == 0


def test_pages_of_yesterday_or_of_another_address_are_not_gone_on_with(tmp_path: Path) -> None:
    api = CampaignsApi(records(37), faults={3: "500"})
    with served(api) as url, pytest.raises(RestError):
        pull(tmp_path, url, patience_seconds=0)
    other = CampaignsApi([{**record, "name": "of another account"} for record in records(12)])
    with served(other) as url:
        settings, _ = pull(tmp_path, url)
    assert {line["record"]["name"] for line in dropped(settings)} == {"of another account"}

    api = CampaignsApi(records(37), faults={3: "500"})
    with served(api) as url:
        with pytest.raises(RestError):
            pull(tmp_path / "old", url, patience_seconds=0)
        state = test_settings(tmp_path / "old").lake_dir / "extracts" / "campaigns" / "progress.json"
        progress = json.loads(state.read_text())
        yesterday = datetime.now(UTC) - timedelta(days=1, minutes=1)
        state.write_text(json.dumps({**progress, "started_at": f"{yesterday:%Y-%m-%dT%H:%M:%S.%fZ}"}))
        _, pulled = pull(tmp_path / "old", url)
    assert pulled.progress.resumed == 0


@pytest.mark.parametrize("left", ["handed over, and not yet taken away", "taken away, and not yet forgotten"])
def test_a_kill_around_the_drop_loses_nothing(tmp_path: Path, left: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dies at the drop, whatever of it was done, and pulls again."""
    api = CampaignsApi(records(37))
    pages = test_settings(tmp_path).lake_dir / "extracts" / "campaigns" / "pages.jsonl"
    unlink = Path.unlink

    def die(self: Path, missing_ok: bool = False) -> None:
        if self == pages and pages.exists() and pages.stat().st_size:
            if left.startswith("taken"):
                unlink(self)
            raise KeyboardInterrupt
        unlink(self, missing_ok=missing_ok)

    with served(api) as url:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", die)
            with pytest.raises(KeyboardInterrupt):
                pull(tmp_path, url)
        handed = [file.read_bytes() for file in (test_settings(tmp_path).inbox_dir / "campaigns").iterdir()]
        settings, _ = pull(tmp_path, url)
    assert set(ids(dropped(settings))) == {record["id"] for record in records(37)}
    files = sorted((settings.inbox_dir / "campaigns").iterdir())
    assert [files[0].read_bytes()] == handed, "handed over twice it is one file"
    assert len(files) == 2, "and since it is no pull of now, another came after it"


def test_two_pulls_at_once_come_one_after_the_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    api = CampaignsApi(records(37), faults={2: "slow"})
    found = []
    with served(api) as url, caplog.at_level("INFO"):
        threads = [
            threading.Thread(target=lambda: found.append(pull(tmp_path, url, timeout_seconds=10)[1])) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        settings = test_settings(tmp_path)
    assert [pulled.progress.records for pulled in found] == [37, 37]
    assert sorted(ids(dropped(settings))) == sorted(2 * [record["id"] for record in records(37)])
    assert "another pull is going on; this one comes after it" in caplog.text


def test_how_far_a_pull_has_come_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with served(CampaignsApi(records(37))) as url, caplog.at_level("INFO"):
        pull(tmp_path, url)
    assert "campaigns: 4 pages, 37 records, 37 new; 4 requests, 996 of 1,000 left in 1 s" in caplog.text


# ---------------------------------------------------------------------------------------------------------- memory
