"""The page of all reports as an asset: always as the reports are, without a run of its own while it is."""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dagster import AssetKey

from analytics_assets.automation.graph import linked_assets
from analytics_assets.automation.run_grouping import PlannedRun
from analytics_assets.partitions import Window
from analytics_assets.reports import index_asset
from analytics_assets.reports.index_asset import INDEX, differs, index_file, write_index
from analytics_assets_tests.support.project import DOMAINS, YESTERDAY, Project

pytestmark = pytest.mark.models_alone

REPORTS = [report for domain in DOMAINS for report in domain.reports]


@pytest.fixture
def project(reported: Project, tmp_path: Path) -> Project:
    """A copy that a test may change."""
    return reported.copy_to(tmp_path / "data", with_state=True)


def facts_of(project: Project, name: str) -> Mapping[str, Any]:
    return json.loads((project.settings.exports_dir / ".facts" / f"{name}_dashboard.json").read_text())


def noted(project: Project) -> int:
    """How often the page was noted as made."""
    events = project.instance.fetch_materializations(AssetKey(INDEX), limit=1_000)
    return len(events.records)


def test_it_shows_every_report_with_links_to_files_that_are_there(reported: Project) -> None:
    page = index_file(reported.settings).read_text()
    assert re.findall(r'data-report="(\w+)"', page) == [report.name for report in REPORTS]
    links = re.findall(r'href="([^"]+)"', page)
    files = {
        file.name
        for ending in ("html", "xlsx", "csv", "md")
        for file in reported.settings.exports_dir.glob(f"*.{ending}")
    }
    assert set(links) == files - {"index.html"}, "all of them, and nothing else: the dbt docs lie in another clone"
    assert len(links) == len(set(links))
    assert page.count("<svg") == 4 * len(REPORTS)
    assert noted(reported) > 0
    assert INDEX not in reported.requested()


def test_its_figures_are_those_of_the_marts_by_day(reported: Project) -> None:
    facts = facts_of(reported, "consent")
    events, asked, _, rate = facts["figures"]
    assert [one["title"] for one in facts["figures"]] == ["Events", "Consent asked", "Consent given", "Conversion rate"]
    sums = pl.col("asked", "given").sum().cast(pl.Float64)
    daily = reported.frame("mart_consent_daily").group_by("event_date").agg(sums).sort("event_date")
    days = [str(day) for day in daily["event_date"]]
    assert events["days"] == [days[0], days[-1]]
    assert asked["values"] == pytest.approx(daily["asked"].to_list())
    expected = (daily["given"] / daily["asked"]).to_list()
    assert rate["values"] == pytest.approx(expected)
    assert f'<p class="value">{expected[-1]:.1%}</p>'.replace("%", " %") in index_file(reported.settings).read_text()


def test_the_warnings_are_those_of_the_dashboards(reported: Project) -> None:
    page = index_file(reported.settings).read_text()
    for report in REPORTS:
        dashboard = (reported.settings.exports_dir / f"{report.name}_dashboard.html").read_text()
        shown = re.findall(r"<li><strong>(?:Failed|Warning):</strong> .*?</li>", dashboard)
        section = page.split(f'data-report="{report.name}"')[1].split("</section>")[0]
        assert re.findall(r"<li><strong>(?:Failed|Warning):</strong> .*?</li>", section) == shown
        assert bool(shown) == ("concerns" in section)


def test_a_step_writes_the_page_anew_where_it_differs_and_only_then_notes_it_as_made(project: Project) -> None:
    """That a late row changes the page without a run of its own is shown in test_reports."""
    file, times = index_file(project.settings), noted(project)
    before = file.read_bytes()
    runs = [PlannedRun(("consent_workbook",), Window.of_days(YESTERDAY, YESTERDAY))]
    assert project.runner().make(runs)
    assert (file.read_bytes(), noted(project)) == (before, times)
    file.write_text("somebody's own")
    assert project.runner().make(runs)
    assert (file.read_bytes(), noted(project)) == (before, times + 1)


def test_an_older_report_is_no_news(project: Project) -> None:
    before, older = index_file(project.settings).read_bytes(), project.settings.start_date
    assert project.runner().make([PlannedRun(("consent_dashboard",), Window.of_days(older, older))])
    assert index_file(project.settings).read_bytes() == before


def test_where_it_differs_it_is_asked_for_alone_and_made(project: Project) -> None:
    file = index_file(project.settings)
    before = file.read_bytes()
    file.unlink()
    assert project.requested() == {INDEX: {"None"}}
    job = project.definitions.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=project.instance, asset_selection=[AssetKey(INDEX)]).success
    assert file.read_bytes() == before
    assert project.requested() == {}


def test_a_report_that_is_taken_out_leaves_the_page(project: Project) -> None:
    declared = project.declared
    fewer = replace(declared, domains=[replace(one, reports=one.reports[1:]) for one in declared.domains])
    assert differs(fewer)
    assert write_index(fewer)
    assert not differs(fewer)
    gone = {domain.reports[0].name for domain in DOMAINS if domain.reports}
    page = index_file(project.settings).read_text()
    assert {*re.findall(r'data-report="(\w+)"', page)} == {report.name for report in REPORTS} - gone


def test_what_is_not_made_is_not_there_and_what_left_no_facts_is_linked(project: Project) -> None:
    exports = project.settings.exports_dir
    for file in exports.glob("consent_*.*"):
        file.unlink()
    (exports / ".facts" / "sessions_dashboard.json").write_text("{")
    assert write_index(project.declared)
    page = index_file(project.settings).read_text()
    assert "consent" not in re.findall(r'data-report="(\w+)"', page)
    assert 'href="consent' not in page
    section = page.split('data-report="sessions"')[1].split("</section>")[0]
    assert "once it is made again" in section
    assert 'href="sessions_dashboard.html"' in section


def test_before_anything_is_made_nothing_is_asked_for(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", DOMAINS)
    assert not differs(project.declared)
    assert INDEX not in project.requested()


def test_the_dbt_docs_are_linked_once_they_are_there(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = project.settings.exports_dir.parent.parent
    docs = clone / "dbt_project" / "target" / "docs" / "index.html"
    monkeypatch.setattr(index_asset, "PROJECT_DIR", clone.resolve())
    monkeypatch.setattr(index_asset, "DBT_DOCS", docs)
    assert not differs(project.declared)
    docs.parent.mkdir(parents=True)
    docs.write_text("the docs")
    assert differs(project.declared)
    write_index(project.declared)
    address = "../../dbt_project/target/docs/index.html"
    assert f'href="{address}"' in index_file(project.settings).read_text()
    assert (project.settings.exports_dir / address).read_text() == "the docs"
    shutil.rmtree(docs.parent)
    assert differs(project.declared)


def test_a_sheet_is_linked_once_it_is_sent(project: Project) -> None:
    index_asset.leave_link(project.settings, "marketing_sheet", "https://docs.google.com/spreadsheets/d/one")
    assert write_index(project.declared)
    section = index_file(project.settings).read_text().split('data-report="marketing"')[1].split("</section>")[0]
    assert '<a href="https://docs.google.com/spreadsheets/d/one">Google Sheet</a>' in section


def test_the_page_ties_no_domains_together(reported: Project) -> None:
    """A domain is off until its first file lands; what a page shows is no reason to turn it on."""
    linked = linked_assets(reported.definitions.resolve_asset_graph())
    assert "sessions_dashboard" not in linked["consent_dashboard"]
    assert linked[INDEX] == {INDEX}
