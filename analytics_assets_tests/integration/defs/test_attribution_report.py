"""The report of attribution: what the tabs hold is what the marts hold, for each model."""

import re

import duckdb
import pytest
from openpyxl import load_workbook

from analytics_assets.defs.attribution.attribution_report import ATTRIBUTION_REPORT, LENGTHS, MODELS, TIMES
from analytics_assets.defs.attribution.reports import MARKETING_REPORT
from analytics_assets.state.builds import newest_export
from analytics_assets_tests.support.project import Project

pytestmark = pytest.mark.models_alone


def rows_of(project: Project, tab: str) -> list[dict]:
    """The rows of a tab of the workbook of marketing."""
    sheet = load_workbook(newest_export(project.settings, "marketing_workbook", "xlsx"))[tab]
    headings, *rows = sheet.iter_rows(values_only=True)
    return [dict(zip(headings, row, strict=True)) for row in rows]


def query(project: Project, sql: str) -> list[tuple]:
    with duckdb.connect(str(project.settings.published_file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_each_model_has_its_rows_and_the_spend_stays_with_all_of_them(reported: Project) -> None:
    rows = rows_of(reported, "Credit by channel")
    spend = dict(query(reported, "select channel, sum(spend)::double from marts.attribution_daily group by channel"))
    credit = {
        (model, channel): numbers
        for model, channel, *numbers in query(
            reported,
            "select model, channel, sum(credited_revenue)::double, sum(credited_conversions)::double"
            " from marts.attribution_daily where model is not null group by model, channel",
        )
    }
    assert {row["Model"] for row in rows} == set(MODELS)
    assert len(rows) == len(MODELS) * len(spend)
    for row in rows:
        revenue, conversions = credit.get((row["Model"], row["Channel"]), (0, 0))
        cost = spend[row["Channel"]]
        assert row["Spend"] == pytest.approx(cost)
        assert row["Credited revenue"] == pytest.approx(revenue)
        assert row["Credited conversions"] == pytest.approx(conversions)
        assert row["Credited return on ad spend"] == (pytest.approx(revenue / cost) if cost else None)
        assert row["Cost per credited conversion"] == (pytest.approx(cost / conversions) if conversions else None)


def test_credit_by_type_is_the_credit_of_the_channels(reported: Project) -> None:
    """Over all types, to the last digit in the mart, and shown as it is there."""
    sums = "sum(credited_conversions), sum(credited_revenue), sum(influenced_conversions)"
    by = "event_date, channel, campaign, model"
    of_types, of_all = (
        query(reported, f"select {by}, {sums} from marts.{mart} group by all having {conditions} order by all")
        for mart in ("attribution_by_type_daily", "attribution_daily")
        for conditions in ["sum(abs(credited_conversions) + abs(credited_revenue) + influenced_conversions) > 0"]
    )
    assert of_types == of_all != []
    shown = {(row["Model"], row["Channel"], row["Type of touch"]): row for row in rows_of(reported, "Clicks and views")}
    for model, channel, kind, conversions, revenue in query(
        reported,
        "select model, channel, touchpoint_type, sum(credited_conversions)::double, sum(credited_revenue)::double"
        " from marts.attribution_by_type_daily where model is not null group by all",
    ):
        row = shown[model, channel, kind]
        assert row["Conversions by type of touch"] == pytest.approx(conversions)
        assert row["Revenue by type of touch"] == pytest.approx(revenue)
    assert {kind for _, _, kind in shown} >= {"ad_click", "ad_impression"}


def test_paths_are_those_of_the_conversions(reported: Project) -> None:
    """Against an oracle of its own over attribution_credit."""
    paths = query(
        reported,
        "select max(touches), max(channels), epoch(any_value(converted_at) - min(touched_at)) from"
        " marts.attribution_credit group by conversion_id",
    )
    rows = rows_of(reported, "Paths")
    assert sum(row["Conversions"] for row in rows) == len(paths) > 30
    assert [row["Touches of the path"] for row in rows] == sorted(
        (row["Touches of the path"] for row in rows), key=LENGTHS.index
    )

    def length(touches: int) -> str:
        if touches == 0:
            return "no touch"
        return str(touches) if touches <= 5 else "6 to 9" if touches <= 9 else "10 and more"

    def time(seconds: float | None) -> str:
        if seconds is None:
            return "no touch"
        ends = (1, 24, 7 * 24, 14 * 24, 30 * 24)
        return TIMES[1 + sum(seconds >= 3600 * end for end in ends)]

    for row in rows:
        found = [
            path for path in paths
            if (length(path[0]), time(path[2])) == (row["Touches of the path"], row["From first touch to conversion"])
        ]  # fmt: skip
        assert row["Conversions"] == len(found)
        with_touch = [path for path in found if path[0]]
        if with_touch:
            assert row["Touches of a path"] == pytest.approx(sum(path[0] for path in with_touch) / len(with_touch))
            assert row["Channels of a path"] == pytest.approx(sum(path[1] for path in with_touch) / len(with_touch))
            days = sum(path[2] for path in with_touch) / len(with_touch) / 86400
            assert row["Days to convert"] == pytest.approx(days, abs=1e-5)


def test_the_models_and_spans_are_those_of_the_sql(reported: Project) -> None:
    assert {model for (model,) in query(reported, "select distinct model from marts.attribution_daily")} == {
        None, *MODELS
    }  # fmt: skip
    code = reported.node("mart_paths_daily")["raw_code"]
    assert set(LENGTHS) - set("12345") <= set(re.findall(r"'([^']*)'", code))
    assert set(TIMES) <= set(re.findall(r"'([^']*)'", code))


def test_the_tabs_of_attribution_stand_after_those_of_marketing(reported: Project) -> None:
    book = load_workbook(newest_export(reported.settings, "marketing_workbook", "xlsx"))
    titles = [table.title for report in (MARKETING_REPORT, ATTRIBUTION_REPORT) for table in report.tables]
    assert book.sheetnames == ["About", *titles]
