"""Reports: as of a day, from the marts, the same in every form; what a reader must know stands in them."""

import random
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import duckdb
import polars as pl
import pytest
from dagster import AssetKey
from dagster._core.execution.backfill import PartitionBackfill
from openpyxl import Workbook

from analytics_assets.automation.graph import of_kind
from analytics_assets.automation.run_grouping import PlannedRun, span_tags
from analytics_assets.dagster_internals import BACKFILL_ID_TAG
from analytics_assets.dbt.project import load_manifest
from analytics_assets.dbt.step import planned_builds
from analytics_assets.defs.sessions import DOMAIN as SESSIONS
from analytics_assets.partitions import Window
from analytics_assets.reports import dashboard, workbook
from analytics_assets.reports.analysis_file import from_csv
from analytics_assets.reports.as_of import MADE_NOTHING
from analytics_assets.reports.assets import write_export
from analytics_assets.reports.dashboard import Concern, pack, unpack
from analytics_assets.reports.datasets import Frames, read_datasets
from analytics_assets.reports.figures import figures, interval_of_ratio, interval_of_share, interval_of_sum
from analytics_assets.reports.index_asset import INDEX, differs
from analytics_assets.reports.tabs import Room, table_rows, tabs_of
from analytics_assets.spec.asset import AssetKind
from analytics_assets.spec.report import (
    Chart,
    Dataset,
    Dimension,
    Distinct,
    Format,
    Largest,
    Measure,
    Ratio,
    Report,
    Sum,
    Table,
)
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.builds import builds_of, export_of, newest_export, recorded_builds
from analytics_assets.warehouse.choice import warehouse_of
from analytics_assets_tests.support.consent_events import FORMULA, HEADER, HOSTILE, event
from analytics_assets_tests.support.project import ALL_OF_ONE, DOMAINS, YESTERDAY, Project, day

pytestmark = pytest.mark.models_alone

REPORTS = [report for domain in DOMAINS for report in domain.reports]
(CONSENT_REPORT,) = (report for report in REPORTS if report.name == "consent")


def assets_of(report: Report) -> dict[str, str]:
    """The assets of a report that write a file, and its ending."""
    return {file.asset(report.name): file.ending for file in report.files if file.ending}


def files_of(project: Project, report: Report, at: date) -> dict[str, bytes]:
    return {
        name.removeprefix(f"{report.name}_"): export_of(project.settings, name, at, ending).read_bytes()
        for name, ending in assets_of(report).items()
    }


def frames_of(project: Project, report: Report, window: Window) -> Frames:
    return read_datasets(warehouse_of(project.settings), report, load_manifest(project.settings), window)


def rows_in(page: bytes) -> dict:
    found = re.search(rb'id="rows">([^<]*)<', page)
    assert found
    return unpack(found[1].decode())


# ---------------------------------------------------------------------------------------------------------- laws


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_law_1_a_report_that_is_made_again_has_the_same_bytes(reported: Project, report: Report) -> None:
    before = files_of(reported, report, YESTERDAY)
    names = [*assets_of(report)]
    runner = reported.runner()
    for _ in range(4):  # numbers with a fraction, added in any order, would differ in every other file
        assert runner.make([PlannedRun(tuple(names), Window.of_days(YESTERDAY, YESTERDAY))])
        assert files_of(reported, report, YESTERDAY) == before


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_law_4_a_report_shows_the_days_that_it_looks_back_on_and_no_other(reported: Project, report: Report) -> None:
    names = [*assets_of(report)]
    middle = reported.settings.start_date + timedelta(days=2)
    assert reported.runner().make([PlannedRun(tuple(names), Window.of_days(middle, middle))])
    page = files_of(reported, report, middle)["dashboard"]
    rows = rows_in(page)
    shown = {number for dataset in rows["datasets"].values() for number in dataset["columns"]["day"]}
    assert shown == {0, 1, 2}
    assert f"As of <strong>{middle}</strong>".encode() in page
    newest = newest_export(reported.settings, names[0], "html")
    assert newest.read_bytes() == files_of(reported, report, YESTERDAY)["dashboard"], "an older report is no news"


def rows_behind(project: Project, dataset: Dataset) -> pl.DataFrame:
    """The rows of a dataset's model that the dashboard holds; a view's and an analysis' are read as they are."""
    if dataset.is_analysis:
        return from_csv(newest_export(project.settings, dataset.model, "csv").read_bytes())
    if not dataset.day:
        return project.frame(dataset.model)
    sql = f"select * from reporting.{dataset.model} where {dataset.day} between ? and ?"
    with duckdb.connect(str(project.settings.published_file), read_only=True) as connection:
        rows = connection.execute(sql, [min(project.window.days()), max(project.window.days())]).pl()
    if dataset.largest:
        rows = rows.sort(dataset.largest.number, dataset.day, *dataset.dimensions, descending=[True] + [False] * 6)
        assert rows.height > dataset.largest.page, "all of them are shown: that shows nothing"
        rows = rows.head(dataset.largest.page)
    assert rows.height
    return rows


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_law_5_the_page_holds_every_number_of_its_marts(reported: Project, report: Report) -> None:
    rows = rows_in(files_of(reported, report, YESTERDAY)["dashboard"])
    for dataset in report.datasets:
        mart = rows_behind(reported, dataset)
        for column in dataset.numbers:
            held = sum(value or 0 for value in rows["datasets"][dataset.model]["columns"][column])
            assert held == pytest.approx(float(mart[column].cast(pl.Float64).sum()), rel=1e-9), (dataset.model, column)


# ---------------------------------------------------------------------------------------------------- automation


def test_a_report_waits_for_a_run_that_goes_on_far_above_it(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", [SESSIONS], {"start_date": day(3)})
    assert project.runner().make([PlannedRun(("raw_clickstream",), project.window)])
    names = ["src_clickstream", "stg_clickstream", "stg_clickstream_incremental"]
    code = {name: project.definitions.resolve_asset_graph().get(AssetKey(name)).code_version or "" for name in names}
    assets = [(name, project.upstream[name], code[name]) for name in names]
    plan = planned_builds(assets, project.window, recorded_builds(project.declared.catalog, project.settings))
    attempts = Attempts(project.settings.lake_dir)
    for name in names:
        attempts.begin(name, plan[name], "a run that has not ended")
    assert not {"sessions_dashboard", "sessions_workbook"} & project.requested().keys()

    for name in names:
        attempts.fail(name, plan[name], "a run that has ended", "it was not to be", permanent=True)
    assert {"sessions_dashboard", "sessions_workbook"} <= project.requested().keys(), "which say what they lack"


def test_only_the_newest_day_is_made_by_itself_and_it_follows_late_data(reported: Project, tmp_path: Path) -> None:
    project = reported.copy_to(tmp_path / "data", with_state=True)
    assert project.requested() == {}
    facts = project.settings.exports_dir / ".facts" / "consent_dashboard.json"
    before = facts.read_bytes()
    names = of_kind(project.definitions.resolve_asset_graph(), AssetKind.REPORT)
    project.drop("consent_events", "events-late.csv", HEADER + event("late", project.settings.start_date))
    made = (runner := project.settle()).outcome.made
    assert {name: set(made[name]) for name in names if name in made} == {
        name: {YESTERDAY} for name in assets_of(CONSENT_REPORT)
    }, "the reports of another domain have nothing new"
    assert runner.outcome.files["consent_dashboard"].endswith(f"consent_dashboard-{YESTERDAY}.html")
    assert project.requested() == {}
    assert facts.read_bytes() != before
    assert not differs(project.declared), "the page of all reports follows, in their steps"
    runs = [run.asset_selection or set() for run in project.instance.get_runs()]
    assert any(runs)
    assert not [run for run in runs if AssetKey(INDEX) in run]


@pytest.mark.parametrize(
    ("with_others", "by_a_backfill", "made"),
    [(False, False, 3), (False, True, 3), (True, False, 1), (True, True, 1)],
)
def test_of_a_range_of_everything_one_report_is_made_and_of_reports_alone_all(
    reported: Project, tmp_path: Path, with_others: bool, by_a_backfill: bool, made: int
) -> None:
    project = reported.copy_to(tmp_path / "data", with_state=True)
    shutil.rmtree(project.settings.exports_dir / "consent_dashboard")
    last = YESTERDAY - timedelta(days=2)
    days = Window.of_days(last - timedelta(days=2), last)
    graph = project.definitions.resolve_asset_graph()
    assets = [AssetKey("consent_dashboard"), *([AssetKey("published_consent")] if with_others else [])]
    tags = span_tags(days)
    if by_a_backfill:  # its layers are runs of their own: here one of the report
        keys = [str(one) for one in days.days()]
        backfill = PartitionBackfill.from_asset_partitions(
            "of-a-person",
            asset_graph=graph,
            partition_names=keys,
            asset_selection=assets,
            backfill_timestamp=0.0,
            tags={},
            dynamic_partitions_store=project.instance,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )
        project.instance.add_backfill(backfill)
        tags, assets = tags | {BACKFILL_ID_TAG: "of-a-person"}, assets[:1]
    job = project.definitions.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=project.instance, asset_selection=assets, tags=tags).success

    files = sorted(file.name for file in (project.settings.exports_dir / "consent_dashboard").iterdir())
    assert files == [f"consent_dashboard-{day}.html" for day in list(days.days())[-made:]]
    events = project.instance.fetch_materializations(AssetKey("consent_dashboard"), limit=3).records
    said = {event.partition_key: set(event.asset_materialization.metadata) for event in events}  # type: ignore[union-attr]
    assert {day for day, metadata in said.items() if "open" in metadata} == {file[18:28] for file in files}
    assert {day for day, metadata in said.items() if MADE_NOTHING in metadata} == {
        str(day) for day in list(days.days())[:-made]
    }
    asset = project.declared.catalog["consent_dashboard"]
    assert len(builds_of(asset, project.settings).read("consent_dashboard", days)) == made
    assert project.requested().keys() <= {"consent_dashboard"}


def test_exports_that_were_deleted_are_made_again(reported: Project, tmp_path: Path) -> None:
    project = reported.copy_to(tmp_path / "data", with_state=True)
    before = newest_export(project.settings, "consent_dashboard", "html").read_bytes()
    shutil.rmtree(project.settings.exports_dir)
    assert project.settle().outcome.made.keys() == of_kind(project.definitions.resolve_asset_graph(), AssetKind.REPORT)
    assert newest_export(project.settings, "consent_dashboard", "html").read_bytes() == before


def test_the_newest_day_is_the_last_one_with_facts(tmp_path: Path) -> None:
    """So files of last year give a report of last year, and not an empty one of yesterday."""
    project = Project(tmp_path / "data", ALL_OF_ONE)
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    runner = project.settle()
    assert set(runner.outcome.made["consent_dashboard"]) == {day(1)}
    project.drop("consent_events", "events-2.csv", HEADER + event("b", day(3)))
    runner = project.settle()
    assert set(runner.outcome.made["consent_dashboard"]) == {day(3)}
    assert (
        b"As of <strong>" + str(day(3)).encode()
        in newest_export(project.settings, "consent_dashboard", "html").read_bytes()
    )


def test_rows_that_are_withdrawn_take_the_newest_report_back(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", ALL_OF_ONE)
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)) + event("b", day(3)))
    project.settle()
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.settle()
    page = newest_export(project.settings, "consent_dashboard", "html").read_text()
    assert f"As of <strong>{day(1)}</strong>" in page
    assert project.requested() == {}


def test_a_failed_day_does_not_hold_the_report_up_but_stands_in_it(reported: Project, tmp_path: Path) -> None:
    project = reported.copy_to(tmp_path / "data", with_state=True)
    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        # Rows that are deleted and inserted within one transaction break a unique index.
        key = "event_date, company_id, country_code, event_type, consent_status"
        connection.execute(f"create unique index breaker on marts.mart_consent_breakdown_daily ({key})")
    project.drop("consent_events", "events-late.csv", HEADER + event("late", day(1)) + event("new", YESTERDAY))
    runner = project.runner()
    names = {key.path[-1] for key in project.definitions.resolve_asset_graph().get_all_asset_keys()}
    runner.land(names)
    runner.settle(names)
    assert any("mart_consent_breakdown_daily" in failure for failure in runner.outcome.failures)
    assert set(runner.outcome.made["consent_dashboard"]) == {YESTERDAY}
    page = newest_export(project.settings, "consent_dashboard", "html").read_text()
    assert f"mart_consent_breakdown_daily: not made yet for 2 days, the newest is {YESTERDAY}" in page


def test_failed_checks_stand_in_the_report_with_their_days(reported: Project) -> None:
    page = newest_export(reported.settings, "consent_dashboard", "html").read_text()
    assert "Before you trust these figures" in page
    odd = reported.frame("stg_consent_events").filter(~pl.col("has_valid_rate"))["event_date"].unique()
    assert len(odd) > 1
    said = f"volumes are too small. (sampling_rates_are_valid for {len(odd)} days, the newest is {odd.max()}: rows_that"
    assert said in page
    with ZipFile(newest_export(reported.settings, "consent_workbook", "xlsx")) as book:
        assert "sampling_rates_are_valid for" in book.read("xl/sharedStrings.xml").decode()


# --------------------------------------------------------------------------------------------------------- texts


def test_names_of_companies_cannot_become_code_in_the_page(reported: Project) -> None:
    page = newest_export(reported.settings, "consent_dashboard", "html").read_bytes()
    assert HOSTILE in rows_in(page)["dictionaries"]["company_id"]
    assert HOSTILE.encode() not in page
    concern = Concern(HOSTILE, "</script><script>alert(2)</script>", True)
    report = replace(CONSENT_REPORT, title="<b>title</b>")
    frames = frames_of(reported, report, reported.window)
    text = dashboard.render(report, frames, reported.window, [concern])
    assert "<script>alert" not in text
    assert "&lt;b&gt;title&lt;/b&gt;" in text


def test_texts_that_look_like_formulas_are_texts_in_the_workbook(reported: Project) -> None:
    with ZipFile(newest_export(reported.settings, "consent_workbook", "xlsx")) as book:
        sheets = [book.read(name).decode() for name in book.namelist() if name.startswith("xl/worksheets/sheet")]
        assert f"<t>{FORMULA}</t>" in book.read("xl/sharedStrings.xml").decode()
    assert not any("<f>" in sheet for sheet in sheets)
    tables = sheets[1:-1]  # between what it is about, and how its figures are made
    assert len(tables) == len(CONSENT_REPORT.tables)
    assert all('state="frozen"' in sheet and "<autoFilter" in sheet for sheet in tables)


def test_the_page_asks_no_network(reported: Project) -> None:
    page = newest_export(reported.settings, "consent_dashboard", "html").read_text()
    assert "default-src 'none'" in page
    assert not re.search(r"""<(link|img|iframe)\b|<script[^>]+src=|@import|url\(""", page.split("<script", 1)[0])


# ------------------------------------------------------------------------------------------------------- figures


def test_the_workbook_holds_the_figures_of_the_marts(reported: Project) -> None:
    """Read back from the file, and compared with SQL of its own over the marts."""
    from openpyxl import load_workbook

    book = load_workbook(BytesIO(files_of(reported, CONSENT_REPORT, YESTERDAY)["workbook"]))
    sheet = book["Days"]
    headings = [cell.value for cell in sheet[1]]
    found = {
        row[0].date(): dict(zip(headings, row, strict=True)) for row in sheet.iter_rows(min_row=2, values_only=True)
    }
    with duckdb.connect(str(reported.settings.warehouse_file), read_only=True) as connection:
        expected = connection.execute(
            "select event_date, sum(asked)::double, sum(given)::double, sum(given)::double / sum(asked)::double,"
            " sum(full_opt_in_events)::double from marts.mart_consent_daily group by event_date"
        ).fetchall()
        events = dict(
            connection.execute(
                "select event_date, sum(total_events)::double from marts.mart_company_daily group by event_date"
            ).fetchall()
        )
    assert found.keys() == events.keys() == {row[0] for row in expected}
    for at, asked, given, rate, opted_in in expected:
        row = found[at]
        assert row["Events"] == pytest.approx(events[at])
        assert (row["Consent asked"], row["Consent given"]) == (pytest.approx(asked), pytest.approx(given))
        assert row["Conversion rate"] == pytest.approx(rate)
        assert row["Full opt-in"] == pytest.approx(opted_in / events[at])


def test_intervals_are_those_of_the_marts(reported: Project) -> None:
    """The formulas stand in SQL, in Python and in the page's script: the first two are compared here."""
    report = CONSENT_REPORT
    frames = frames_of(reported, report, reported.window)
    mart = reported.frame("mart_consent_daily").filter(pl.col("conversion_rate_low").is_not_null())
    assert mart.height > 0
    found = figures(frames, report.measure("conversion_rate"), ["company_id", "day"])
    asked = figures(frames, report.measure("asked"), ["company_id", "day"])
    for row in mart.to_dicts():
        figure, volume = found[row["company_id"], row["event_date"]], asked[row["company_id"], row["event_date"]]
        assert (figure.low, figure.high) == (
            pytest.approx(row["conversion_rate_low"], abs=2e-6),
            pytest.approx(row["conversion_rate_high"], abs=2e-6),
        )
        assert (volume.low, volume.high) == (
            pytest.approx(row["asked_low"], abs=2e-6),
            pytest.approx(row["asked_high"], abs=2e-6),
        )


def test_intervals_by_hand() -> None:
    assert interval_of_sum(300, 2700) == (pytest.approx(198.155413), pytest.approx(401.844587))
    assert interval_of_sum(1, 100) == (0, pytest.approx(20.6))
    assert interval_of_ratio(100, 0, 400, 3600) == (
        pytest.approx(0.186319, abs=1e-6),
        pytest.approx(0.335446, abs=1e-6),
    )


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.94])
def test_95_percent_of_the_intervals_of_a_share_hold_the_truth(share: float) -> None:
    """Of 1,000 samples of a tenth of 4,000 events; a part of a whole is not independent of it."""
    generator, rate, events = random.Random(1977), 0.1, 4_000
    inside = int(events * share)
    held = 0
    for _ in range(1_000):
        part = sum(generator.random() < rate for _ in range(inside))
        whole = part + sum(generator.random() < rate for _ in range(events - inside))
        variance = (1 - rate) / rate**2
        low, high = interval_of_share(part / rate, part * variance, whole / rate, whole * variance)
        assert 0 <= low <= high <= 1
        held += low <= share <= high
    assert 930 <= held <= 970


def test_a_ratio_has_an_interval_only_where_its_formula_holds() -> None:
    def over(**where: str) -> Sum:
        return Sum("mart", "number", {name: (value,) for name, value in where.items()}, variance="v", rows="n")

    def has_interval(ratio: Ratio) -> bool:
        return Measure("one", "One", ratio, Format.SHARE, ".").has_interval

    assert has_interval(Ratio(over(kind="a"), over(kind="b"))), "of different rows"
    assert has_interval(Ratio(over(kind="a"), over())), "a part"
    assert not has_interval(Ratio(over(kind="a"), over(place="x"))), "some rows are in both"


SMALL = Report(
    name="small",
    title="Small",
    days=3,
    datasets=(Dataset("mart", ("place", "kind"), ("number",)),),
    dimensions=(Dimension("place", "Place", is_filter=True), Dimension("kind", "Kind", values=("a", "b"))),
    measures=(
        Measure("all", "All", Sum("mart", "number"), Format.COUNT, "."),
        Measure(
            "share",
            "Share of a",
            Ratio(Sum("mart", "number", {"kind": ("a",)}), Sum("mart", "number")),
            Format.SHARE,
            ".",
        ),
        Measure("places", "Places", Distinct("mart", "place", besides=("unknown",)), Format.COUNT, "."),
    ),
    key_figures=("all",),
    charts=(Chart("All", "all"),),
    tables=(Table("places", "Places", ("place",), ("all", "share"), shares=True),),
)
ROWS = pl.DataFrame(
    {
        "day": [date(2026, 1, 1), date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 2)],
        "place": ["x", "y", "x", "unknown"],
        "kind": ["a", "b", "b", "other"],
        "number": [1.0, 3.0, 4.0, 0.0],
    }
)


def test_a_ratio_is_the_ratio_of_sums_and_there_is_none_of_nothing() -> None:
    frames = {"mart": ROWS}
    assert {group: figure.value for group, figure in figures(frames, SMALL.measure("share"), ["place"]).items()} == {
        ("x",): 0.2,
        ("y",): 0.0,
        ("unknown",): None,
    }
    assert figures(frames, SMALL.measure("share"), [])[()].value == 0.125
    assert figures(frames, SMALL.measure("places"), [])[()].value == 2
    assert figures({"mart": ROWS.clear()}, SMALL.measure("share"), ["place"]) == {}


def test_a_table_shows_the_largest_first_with_shares() -> None:
    headings, rows = table_rows(SMALL, SMALL.tables[0], {"mart": ROWS})
    assert headings == ["Place", "All", "Share", "Share of a"]
    assert rows == [["x", 5.0, 0.625, 0.2], ["y", 3.0, 0.375, 0.0], ["unknown", 0.0, 0.0, None]]


def small_workbook(places: Sequence[str], concerns: Sequence[Concern] = (), report: Report = SMALL) -> Workbook:
    """The workbook of SMALL for these places, the first one the largest, read back."""
    from openpyxl import load_workbook

    at = date(2026, 1, 1)
    columns = {"day": [at] * len(places), "place": places, "kind": ["a"] * len(places)}
    frame = pl.DataFrame(columns | {"number": [float(len(places) - number) for number in range(len(places))]})
    return load_workbook(
        BytesIO(workbook.render(report, {"mart": frame}, Window.of_days(at, at + timedelta(2)), concerns))
    )


@pytest.fixture
def low_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sheets of 1,000 rows."""
    from xlsxwriter.worksheet import Worksheet

    begin = Worksheet.__init__

    def begin_low(self: Worksheet) -> None:
        begin(self)
        self.xls_rowmax = 1_000

    monkeypatch.setattr(Worksheet, "__init__", begin_low)


def about(book: Workbook) -> dict[str, str]:
    return {str(name): str(text) for name, text in book["About"].iter_rows(max_col=2, values_only=True) if text}


def test_rows_that_a_sheet_has_no_room_for_are_told_in_the_sheet_and_in_about(low_sheets: None) -> None:
    book = small_workbook([f"place {number}" for number in range(1_500)])
    said = "Places: the smallest 502 of 1,500 rows are left out, since a sheet has no room for them."
    sheet = book["Places"]
    assert sheet.max_row == 1_000
    assert [sheet.cell(row, 1).value for row in (2, 999, 1_000)] == ["place 0", "place 997", said]
    assert sheet.cell(2, 3).value == pytest.approx(1500 / (1500 * 1501 / 2)), "shares are of all rows"
    assert sheet.auto_filter.ref == "A1:D999"
    assert about(book)["Not whole"] == said

    book = small_workbook([f"place {number}" for number in range(999)])
    assert (book["Places"].max_row, book["Places"].cell(1_000, 1).value) == (1_000, "place 998"), "so many have room"
    assert "Not whole" not in about(book)


def test_of_days_that_a_sheet_has_no_room_for_the_oldest_are_left_out(low_sheets: None) -> None:
    by_day = replace(SMALL, tables=(Table("days", "Days", ("day", "place"), ("all",)),))
    book = small_workbook([f"{number:04}" for number in range(1_500)], report=by_day)
    assert [book["Days"].cell(row, 2).value for row in (2, 999)] == ["0502", "1499"]
    assert about(book)["Not whole"].startswith("Days: the oldest 502 of 1,500 rows")


def test_texts_that_are_longer_than_a_cell_are_cut_and_counted() -> None:
    long = "é" * 32_767
    book = small_workbook([f"{long}1", f"{long}2", long])
    assert {row[0] for row in book["Places"].iter_rows(min_row=2, values_only=True)} == {long}
    assert about(book)["Not whole"].startswith(
        "Places: 2 texts are longer than a cell, and end after 32,767 characters"
    )


HOSTILE_CELLS = (
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "{=1}", "'=1", '=HYPERLINK("http://evil.example")',
    "http://evil.example", "<r><t>x</t></r>", "<r></broken></r>", "<r>\x00&</r>", "</t></si>", "]]>", "\ufffe\uffff",
    "\x00\x01\x1b[2J\x0b", "\u202egpj.exe", " a ", "", "constructor", "é" * 32_767,
)  # fmt: skip


def test_whatever_a_cell_holds_is_a_text_in_the_workbook() -> None:
    book = small_workbook(HOSTILE_CELLS)
    cells = [row[0] for row in book["Places"].iter_rows(min_row=2)]
    read = [re.sub("_x([0-9A-F]{4})_", lambda found: chr(int(found[1], 16)), cell.value or "") for cell in cells]
    assert read == list(HOSTILE_CELLS)
    assert {cell.data_type for cell in cells} <= {"s", "n"}, "an empty one counts as a number; no formula"
    assert not any(cell.hyperlink for cell in cells)


def test_a_cell_that_cannot_be_written_is_no_silent_gap() -> None:
    import xlsxwriter

    sheet = xlsxwriter.Workbook(BytesIO()).add_worksheet("Places")
    with pytest.raises(ValueError, match=r"sheet Places: row 1048577, column 1 cannot be written \(-1\)"):
        workbook._write(sheet, sheet.xls_rowmax, 0, "x", None, {})


def test_a_concern_is_one_line_that_is_not_as_long_as_the_cell_that_it_quotes() -> None:
    concern = Concern("mart: \udcff\n\x1b[2J", "x" * 5_000_000, True)
    window = Window.of_days(date(2026, 1, 1), date(2026, 1, 2))
    page = dashboard.render(SMALL, {"mart": ROWS}, window, [concern])
    assert "mart: \\udcff\\n\\x1b[2J: xxx" in page
    assert len(page) < dashboard.MAX_BYTES
    said = about(small_workbook(["x"], [concern]))["Failed"]
    assert said.startswith("mart: \\udcff\\n") and len(said) == dashboard.LONGEST_CONCERN


def test_no_name_ends_a_script_or_stands_in_the_page_as_it_is() -> None:
    names = ["</script><script>alert(1)</script>", "<!--<script>", "{{7*7}}", "datum.value+alert(1)", "'-alert(1)-'"]
    frame = pl.DataFrame({"day": [date(2026, 1, 1)] * 5, "place": names, "kind": ["a"] * 5, "number": [1.0] * 5})
    report = replace(SMALL, title="</script>", notes=("</script>", "{{7*7}}"))
    window = Window.of_days(date(2026, 1, 1), date(2026, 1, 2))
    page = dashboard.render(report, {"mart": frame}, window, [Concern("</script>", "<img src=x>", True)])
    plain_page = dashboard.render(SMALL, {"mart": ROWS}, window, [])
    assert page.count("</script") == plain_page.count("</script") == 4
    assert [name for name in names if name in page.replace("<p>{{7*7}}</p>", "")] == []
    assert "<img" not in page.split("<script", 1)[0]
    assert rows_in(page.encode())["dictionaries"]["place"] == sorted(names)


def test_amounts_are_in_the_currency_that_the_report_declares() -> None:
    amount = Measure("all", "Amount", Sum("mart", "number"), Format.MONEY, "What was paid.")
    report = replace(SMALL, measures=(amount, *SMALL.measures[1:]), currency="CHF")
    window = Window.of_days(date(2026, 1, 1), date(2026, 1, 3))
    frames = {"mart": ROWS}
    page = dashboard.render(report, frames, window, [])
    assert '"unit": "CHF"' in page or '"unit":"CHF"' in page
    assert "€" not in page
    book = ZipFile(BytesIO(workbook.render(report, frames, window, [])))
    styles = book.read("xl/styles.xml").decode()
    assert "CHF" in styles and "€" not in styles


def test_values_that_a_dimension_does_not_list_are_other() -> None:
    window = Window.of_days(date(2026, 1, 1), date(2026, 1, 3))
    held = unpack(pack(SMALL, {"mart": ROWS}, window))
    assert held["dictionaries"] == {"place": ["unknown", "x", "y"], "kind": ["a", "b", "other"]}
    assert held["datasets"]["mart"]["columns"]["day"] == [0, 0, 1, 1]


def test_a_report_that_would_be_too_large_leaves_out_its_oldest_days(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(1)
    days = [date(2026, 1, 1) + timedelta(number) for number in range(60)]
    rows = [(at, str(generator.random()), "a", generator.random()) for at in days for _ in range(500)]
    frames = {"mart": pl.DataFrame(rows, schema=["day", "place", "kind", "number"], orient="row")}
    monkeypatch.setattr(dashboard, "MAX_BYTES", 1_500_000)
    page = dashboard.render(replace(SMALL, days=60), frames, Window.of_days(days[0], days[-1]), [])
    assert 1_200_000 < len(page.encode()) <= 1_500_000
    assert "Older days are left out" in page
    held = rows_in(page.encode())["datasets"]["mart"]["columns"]["day"]
    assert min(held) == 0
    assert 20 < max(held) < 59
    assert f"As of <strong>{days[-1]}</strong>" in page


def test_a_day_that_is_too_large_by_itself_fails_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "MAX_BYTES", 100_000)
    with pytest.raises(ValueError, match="a single day, 2026-01-02, makes a file of"):
        dashboard.render(SMALL, {"mart": ROWS}, Window.of_days(date(2026, 1, 1), date(2026, 1, 2)), [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key_figures": ("none",)}, "a key figure names 'none'; there is all, places, share"),
        ({"charts": (Chart("Odd", "all", by="nowhere"),)}, "chart 'Odd' names 'nowhere'"),
        ({"datasets": (Dataset("mart", ("kind",), ("number",)),)}, "names 'place'"),
        ({"measures": (Measure("all", "All", Sum("mart", "price"), Format.COUNT, "."),)}, "names 'price'"),
    ],
)
def test_a_spec_that_names_what_is_not_there_says_so(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **change)


LARGEST = replace(
    SMALL,
    datasets=(*SMALL.datasets, Dataset("people", ("place",), ("paid",), largest=Largest("paid", page=2, tabs=3))),
    measures=(*SMALL.measures, Measure("paid", "Paid", Sum("people", "paid"), Format.COUNT, ".")),
    tables=(*SMALL.tables, Table("people", "People", ("place",), ("paid",))),
)
"""A report with a dataset of which the largest rows are shown: two in the dashboard, three in the tabs."""

PEOPLE = pl.DataFrame(
    [
        (date(2026, 1, 1 + number % 2), name, paid)
        for number, (name, paid) in enumerate(zip("vwxyz", (3, 9, 3, 1, 7), strict=True))
    ],
    schema={"day": pl.Date, "place": pl.String, "paid": pl.Float64},
    orient="row",
).sort("day", "place")
"""Who paid, one more than is ever read."""


def test_of_many_rows_the_largest_are_shown_and_it_is_said_how_many_are_not() -> None:
    window = Window.of_days(date(2026, 1, 1), date(2026, 1, 3))
    read = {"mart": ROWS, "people": PEOPLE.top_k(4, by=["paid", "place"], reverse=[False, True])}
    page = dashboard.render(LARGEST, read, window, [])
    rows = rows_in(page.encode())
    held = rows["datasets"]["people"]["columns"]
    assert [rows["dictionaries"]["place"][place] for place in held["place"]] == ["z", "w"]
    assert held["paid"] == [7, 9]
    assert "of more than 3 rows, these are the 2 with the largest value of “Paid”" in page
    assert held["paid"] and rows["datasets"]["mart"]["length"] == ROWS.height, "the other dataset is whole"

    *_, tab = tabs_of(LARGEST, read, Room(rows=100, characters=100))
    assert tab.rows == [["w", 9], ["z", 7], ["v", 3]], "of equal ones the first by name"
    assert tab.missing == ["People: of more than 3 rows, these are the 3 with the largest value of “Paid”."]
    assert tab.below == tab.missing[0]
    *_, tab = tabs_of(LARGEST, read, Room(rows=4, characters=100))
    assert len(tab.rows) == 2 and "these are the 2" in tab.below, "the room is smaller still"

    few = {"mart": ROWS, "people": PEOPLE.head(2)}
    assert "largest value" not in dashboard.render(LARGEST, few, window, [])
    assert tabs_of(LARGEST, few, Room(rows=100, characters=100))[-1].missing == []


@pytest.mark.parametrize(
    "change",
    [
        {"key_figures": ("paid",)},
        {"charts": (Chart("Paid", "paid"),)},
        {"tables": (Table("people", "People", ("place",), ("paid",), shares=True),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_shown_in_part_is_in_no_sum(change: dict) -> None:
    with pytest.raises(ValueError, match="would sum people, of which only the largest rows are shown"):
        replace(LARGEST, **change)


def test_a_price_of_a_thousand_is_of_sums() -> None:
    price = Ratio(Sum("mart", "number"), Sum("mart", "number", {"kind": ("a",)}), times=1_000)
    measure = Measure("price", "Price", price, Format.MEAN, ".")
    over, under = ROWS["number"].sum(), ROWS.filter(pl.col("kind") == "a")["number"].sum()
    assert figures({"mart": ROWS}, measure, [])[()].value == pytest.approx(1_000 * over / under)
    assert not Ratio(price.under, price.over, times=1_000).is_share, "it may be above 1"


def test_rows_in_order_stand_by_the_listed_values() -> None:
    ages = ("2", "10", "1")
    frame = pl.DataFrame(
        {"day": [date(2026, 1, 1)] * 3, "place": ["x"] * 3, "kind": sorted(ages), "number": [1.0, 9.0, 5.0]}
    )
    table = Table("ages", "Ages", ("kind",), ("all",), in_order=True)
    kinds = (SMALL.dimensions[0], Dimension("kind", "Kind", values=ages))
    report = replace(SMALL, dimensions=kinds, measures=(*SMALL.measures[:1], *SMALL.measures[2:]), tables=(table,))
    assert [row[0] for row in table_rows(report, table, {"mart": frame})[1]] == ["2", "10", "1"]
    largest_first = table_rows(report, replace(table, in_order=False), {"mart": frame})[1]
    assert [row[0] for row in largest_first] == ["10", "2", "1"]


def test_lines_are_by_listed_numbers() -> None:
    with pytest.raises(ValueError, match="chart 'All' draws lines by place, which lists no values"):
        replace(SMALL, charts=(Chart("All", "all", by="place", lines=True),))


@pytest.mark.parametrize(
    ("model", "day", "said"), [("rpt_users", "", "has no days"), ("mart_cohort_daily", "x", "has days of its own")]
)
def test_only_a_model_without_days_is_given_a_column_for_them(tmp_path: Path, model: str, day: str, said: str) -> None:
    (marketing,) = (domain for domain in DOMAINS if domain.name == "attribution")
    report = replace(SMALL, datasets=(Dataset(model, ("channel",), ("revenue",), day=day),), **NOTHING_SHOWN)
    with pytest.raises(ValueError, match=f"report small: {model} {said}"):
        Project(tmp_path / "data", [replace(marketing, reports=(report,))])


NOTHING_SHOWN: dict = {
    "dimensions": (Dimension("channel", "Channel"),),
    "measures": (),
    "key_figures": (),
    "charts": (),
    "tables": (),
}


def test_marketing_shows_curves_users_and_the_price_of_a_thousand(reported: Project) -> None:
    """The workbook, read back, against SQL of its own over what is published."""
    from openpyxl import load_workbook

    (report,) = (report for report in REPORTS if report.name == "marketing")
    book = load_workbook(BytesIO(files_of(reported, report, YESTERDAY)["workbook"]))
    sheets = {
        name: [dict(zip([cell.value for cell in book[name][1]], row, strict=True)) for row in rows]
        for name in ("LTV by age", "Users", "Channels")
        for rows in [list(book[name].iter_rows(min_row=2, values_only=True))]
    }
    with duckdb.connect(str(reported.settings.published_file), read_only=True) as connection:
        users = dict(connection.execute("select user_id, margin::double from reporting.rpt_users").fetchall())
        points = connection.execute(
            "select install_month, age, sum(margin)::double / sum(users) from reporting.ltv_by_age group by all"
        ).fetchall()
        of_week = connection.execute(
            "select sum(margin_7d)::double / sum(users_7d), sum(users_7d) from reporting.ltv_cohorts"
        ).fetchone()
        prices = dict(
            connection.execute(
                "select channel, 1000 * sum(spend)::double / sum(impressions) from marts.channel_performance_daily"
                " group by channel having sum(impressions) > 0"
            ).fetchall()
        )
    assert {row["User"]: row["Margin so far"] for row in sheets["Users"]} == pytest.approx(users)
    assert len(sheets["Users"]) > 500, "the workbook holds more than the dashboard"
    curve = {(row["Month of install"], int(row["Days since the install"])): row for row in sheets["LTV by age"]}
    assert {point: row["Lifetime value"] for point, row in curve.items()} == pytest.approx(
        {(month, age): ltv for month, age, ltv in points}
    )
    assert [*curve] == sorted(curve), "in the order of months and ages"
    assert {age for _, age in curve} == {1, 2, 3, 4, 5, 6, 7, 10, 14}, "no cohort is older than two weeks"
    sevens = [row for (_, age), row in curve.items() if age == 7]
    assert sum(row["Users of that age"] for row in sevens) == of_week[1]
    assert sum(row["Margin until that age"] for row in sevens) / of_week[1] == pytest.approx(of_week[0])
    found = {row["Channel"]: row["Cost per 1,000 impressions"] for row in sheets["Channels"]}
    assert {channel: price for channel, price in found.items() if price is not None} == pytest.approx(prices)


def test_the_points_of_the_curve_are_those_of_its_view(reported: Project) -> None:
    (report,) = (report for report in REPORTS if report.name == "marketing")
    said = re.search(r"ages = \(([^)]*)\)", reported.node("ltv_by_age")["raw_code"])
    assert said and report.dimension("age").values == tuple(said[1].split(", "))


def test_a_filter_acts_on_everything_or_is_refused() -> None:
    with pytest.raises(ValueError, match="a filter acts on everything at once, but second has no place"):
        replace(SMALL, datasets=(*SMALL.datasets, Dataset("second", ("kind",), ("number",))))


def test_an_export_is_whole_or_not_there(reported: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from analytics_assets_tests.support.project import test_settings

    settings = test_settings(tmp_path / "data")
    file = write_export(settings, "small", day(1), "html", b"old", is_newest=True)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_export(settings, "small", day(1), "html", b"new, and cut off", is_newest=True)
    assert file.read_bytes() == newest_export(settings, "small", "html").read_bytes() == b"old"
    assert [left.name for left in settings.exports_dir.rglob("*.tmp")] == []
