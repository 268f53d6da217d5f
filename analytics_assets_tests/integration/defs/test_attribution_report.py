"""The report of attribution: what the tabs hold is what the marts hold, for each model."""

import re
from html import escape

import duckdb
import polars as pl
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
    assert book.sheetnames == ["About", *titles, "How each figure is made"]


# ---------------------------------------------------------------------------------------------------- the advice


def advice_of(project: Project) -> pl.DataFrame:
    return pl.read_csv(newest_export(project.settings, "strategic_recommendations", "csv"), infer_schema_length=None)


def test_each_sentence_stands_in_the_table_the_text_the_page_and_the_workbook(reported: Project) -> None:
    advice = advice_of(reported)
    sentences = advice["sentence"].to_list()
    assert len(sentences) > 20
    text = newest_export(reported.settings, "strategic_recommendations", "md").read_text()
    assert text.count("\n- ") == len(sentences)
    page = newest_export(reported.settings, "attribution_dashboard", "html").read_text()
    section = page.split('<section class="sentences"')[1].split("</section>")[0]
    assert re.findall(r"<li>(.*?)</li>", section) == [escape(sentence) for sentence in sentences]
    rows = rows_of(reported, "Recommendations in numbers")
    assert [row["Sentence"] for row in rows] == sentences
    assert [row["Value"] for row in rows] == pytest.approx(advice["value"].to_list())
    assert 'class="sentences"' not in newest_export(reported.settings, "marketing_dashboard", "html").read_text()


def test_the_numbers_of_the_advice_are_those_of_the_marts(reported: Project) -> None:
    advice = advice_of(reported)

    def of(rule: str) -> list[dict]:
        return advice.filter(pl.col("rule").str.starts_with(rule)).rows(named=True)

    ((spend,),) = query(reported, "select sum(spend)::double from marts.attribution_daily")
    paid = "channel in (select channel from marts.attribution_daily group by channel having sum(spend) > 0)"
    revenue = {
        model: (revenue, conversions)
        for model, revenue, conversions in query(
            reported,
            "select model, sum(credited_revenue)::double, sum(credited_conversions)::double"
            f" from marts.attribution_daily where {paid} and model is not null group by model",
        )
    }
    together = {row["by_model"]: row["value"] for row in of("What a euro") if not row["about"]}
    assert together.keys() > revenue.keys(), "the models over all paths, too"
    assert {model: together[model] for model in MODELS} == pytest.approx(
        {model: revenue[model][0] / spend for model in MODELS}
    )
    costs = {row["by_model"]: row["value"] for row in of("What a conversion cost") if not row["about"]}
    assert {model: costs[model] for model in MODELS} == pytest.approx(
        {model: spend / revenue[model][1] for model in MODELS}
    )
    models = pl.read_csv(newest_export(reported.settings, "attribution_models_report", "csv"), infer_schema_length=None)
    share, channel = pl.col("share"), pl.col("channel")
    apart = models.filter(channel != "unattributed").group_by("channel").agg(share.max() - share.min()).sort("share")
    assert next(row["about"] for row in of("How far")) == apart["channel"][-1]
    assert [row["value"] for row in of("How far")] == pytest.approx(apart["share"].reverse().to_list())
    assert [row["value"] for row in of("Spend whose return")] == [1.0], "all days are of the newest 30"
    assert [row["unit"] for row in of("What one euro more")] == ["weeks"], "two weeks are too few"
    untested = {row["about"]: row["value"] for row in of("What no test supports")}
    by_channel = (
        "select channel, sum(spend)::double from marts.attribution_daily group by channel having sum(spend) > 0"
    )
    assert untested == pytest.approx(dict(query(reported, by_channel)))


def test_all_models_stand_side_by_side_in_a_tab(reported: Project) -> None:
    models = pl.read_csv(newest_export(reported.settings, "attribution_models_report", "csv"), infer_schema_length=None)
    found = {(row["Channel"], row["Model"]): row for row in rows_of(reported, "All models")}
    assert found.keys() == set(models.select("channel", "model").rows())
    for row in models.rows(named=True):
        shown = found[row["channel"], row["model"]]
        assert shown["Share of conversions"] == pytest.approx(row["share"])
        assert shown["Conversions, to"] == pytest.approx(row["conversions_high"])
        assert shown["Supported by"] == row["supported_by"] == "no test supports this"
        assert shown["Calibrated conversions"] is None
