"""The charts of the workbooks, and what they say of how a figure is made, against SQL over what is published."""

import re
from collections.abc import Sequence
from datetime import date

import duckdb
import pytest
from openpyxl import Workbook, load_workbook

from analytics_assets.reports.how_made import HEADINGS, HOW_MADE
from analytics_assets.spec.report import Report
from analytics_assets.state.builds import newest_export
from analytics_assets_tests.support.project import DOMAINS, Project
from analytics_assets_tests.support.workbooks import charts_of

pytestmark = pytest.mark.models_alone

REPORTS = {report.name: report for domain in DOMAINS for report in domain.reports}
WITH_WORKBOOK = ("campaigns", "consent", "marketing", "sessions")


@pytest.fixture(scope="module")
def books(reported: Project) -> dict[str, Workbook]:
    return {name: load_workbook(newest_export(reported.settings, f"{name}_workbook", "xlsx")) for name in WITH_WORKBOOK}


def how_made(book: Workbook) -> list[dict[str, str]]:
    return [dict(zip(HEADINGS, map(str, row), strict=True)) for row in book[HOW_MADE].iter_rows(2, values_only=True)]


def published(project: Project, sql: str) -> list[tuple]:
    with duckdb.connect(str(project.settings.published_file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_a_line_by_day_is_that_of_the_mart(reported: Project, books: dict[str, Workbook]) -> None:
    (line,) = (one for one in charts_of(books["consent"]["Days"]) if one.title == "Conversion rate over time")
    rows = published(
        reported,
        "select event_date, sum(given)::double / sum(asked)::double from marts.mart_consent_daily"
        " group by 1 order by 1",
    )
    assert line.kind == "lineChart"
    assert line.names == [day for day, _ in rows]
    assert line.series["Conversion rate"] == pytest.approx([rate for _, rate in rows])
    assert line.drawn_in_cache["Conversion rate"] == pytest.approx([rate for _, rate in rows])
    assert len(line.series) == 3, "with its interval"


def test_bars_by_a_dimension_are_the_largest_of_the_mart(reported: Project, books: dict[str, Workbook]) -> None:
    (bars,) = (one for one in charts_of(books["consent"]["Countries"]) if one.title.startswith("Reach by country"))
    rows = published(
        reported,
        "select coalesce(country_code, '(none)'), sum(events)::double from marts.mart_consent_breakdown_daily"
        " group by 1 order by 2 desc",
    )
    assert bars.kind == "barChart"
    shown = dict(zip(bars.names, bars.series["Events"], strict=True))
    assert shown == pytest.approx({name: shown_rows for name, shown_rows in rows if name in shown})
    assert [*bars.series["Events"]] == pytest.approx([events for _, events in rows[: len(shown)]])


@pytest.mark.parametrize("name", WITH_WORKBOOK)
def test_every_chart_that_a_table_has_the_rows_of_is_drawn_once(name: str, books: dict[str, Workbook]) -> None:
    report = REPORTS[name]
    drawn = [one.title.partition(": the first")[0] for sheet in books[name] for one in charts_of(sheet)]
    expected = [
        chart.title
        for part in report.parts
        for chart in part.charts
        if not (chart.split or chart.lines or chart.shape or part.switch)
        and any(
            table.by == (chart.by,) and {chart.measure, chart.against or chart.measure} <= {*table.measures}
            for table in part.tables
        )
    ]
    assert len(expected) > 2
    assert sorted(title for title in drawn if title in expected) == sorted(expected)


# ----------------------------------------------------------------------------------------------- how it is made


def as_sql(formula: str) -> tuple[str, str]:
    """The model and the SQL of a sum or a number of values in words."""
    if found := re.fullmatch(r"sum of (\w+) of (\w+)(?: where (.*))?", formula):
        column, model, where = found.groups()
        conditions = [_condition(one) for one in where.split(" and ")] if where else ["true"]
        return model, f"coalesce(sum({column}) filter (where {' and '.join(conditions)}), 0)::double"
    found = re.fullmatch(r"number of different values of (\w+) in (\w+)(?:, without (.*))?", formula)
    assert found, formula
    column, model, besides = found.groups()
    value = f"coalesce({column}, '(none)')"
    return model, f"count(distinct {value}) filter (where {value} not in ({_quoted((besides or '').split(', '))}))"


def _condition(said: str) -> str:
    column, _, value = said.partition(" is ")
    return f"{column}::text in ({_quoted(value.removeprefix('one of ').split(', '))})"


def _quoted(values: Sequence[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def by_day(project: Project, formula: str) -> dict[date, float]:
    model, sql = as_sql(formula)
    node = project.declared.manifest.made[model]
    return dict(published(project, f"select {node.day}, {sql} from {node.schema}.{model} group by 1"))


@pytest.mark.parametrize("name", ["consent", "sessions", "campaigns"])
def test_what_is_said_of_a_figure_gives_the_figure(name: str, reported: Project, books: dict[str, Workbook]) -> None:
    """Each formula is read back, asked of the published mart as SQL, and compared with the sheet by day."""
    report: Report = REPORTS[name]
    headings, *rows = books[name]["Days"].iter_rows(values_only=True)
    said = {row["Figure"]: row["Formula"] for row in how_made(books[name])}
    (days,) = (table for table in report.tables if table.name == "days")
    for measure in map(report.measure, days.measures):
        shown = {row[0].date(): row[headings.index(measure.title)] for row in rows}
        ratio = re.fullmatch(r"\((.*)\) / \((.*)\)(?: × ([\d,]+))?", said[measure.title])
        if ratio:
            over, under = by_day(reported, ratio[1]), by_day(reported, ratio[2])
            times = int((ratio[3] or "1").replace(",", ""))
            found = {day: over.get(day, 0.0) / under[day] * times for day in under if under[day]}
        else:
            found = by_day(reported, said[measure.title])
        assert {day: value for day, value in shown.items() if value} == pytest.approx(
            {day: value for day, value in found.items() if value}
        ), measure.title
        assert any(found.values())


@pytest.mark.parametrize("name", WITH_WORKBOOK)
def test_every_figure_has_a_meaning_a_formula_and_a_described_model(name: str, books: dict[str, Workbook]) -> None:
    rows = how_made(books[name])
    titles = {measure.title for part in REPORTS[name].parts for measure in part.measures}
    assert {row["Figure"] for row in rows} == titles
    said = [heading for heading in HEADINGS if "interval" not in heading]
    assert [(row["Figure"], heading) for row in rows for heading in said if row[heading] == "None"] == []
