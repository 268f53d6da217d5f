"""Answers to one question, of which one counts at a time: sums by models, and how far the models are apart."""

import re
from dataclasses import replace
from datetime import date
from io import BytesIO

import polars as pl
import pytest

from analytics_assets.reports import dashboard, workbook
from analytics_assets.reports.dashboard import unpack
from analytics_assets.reports.figures import figures, of_choice
from analytics_assets.reports.tabs import table_rows
from analytics_assets.spec.report import NONE, Chart, Dimension, Format, Measure, Spread, Sum
from analytics_assets_tests.support.switched_report import DAYS, FRAMES, SWITCHED, WINDOW

MODEL = SWITCHED.dimension("model")


def values(measure: str, *by: str, choice: str = "") -> dict:
    frames = of_choice(FRAMES, MODEL, choice) if choice else FRAMES
    return {group: figure.value for group, figure in figures(frames, SWITCHED.measure(measure), by, MODEL).items()}


def test_rows_without_a_value_stay_with_every_choice() -> None:
    assert values("roas", choice="first") == {(): pytest.approx(10 / 15)}
    assert values("roas", choice="last") == {(): pytest.approx(10 / 15)}
    assert values("roas", "channel", choice="first") == {("tv",): 0.7, ("web",): 0.4, ("mail",): None}
    assert values("roas", "channel", choice="last") == {("tv",): 0.1, ("web",): 1.2, ("mail",): None}
    assert values("spend", choice="first") == values("spend", choice="last") == {(): 15.0}


def test_by_the_dimension_all_its_values_are_shown_and_what_has_none_counts_for_each() -> None:
    assert values("spend", "model") == {("first",): 15.0, ("last",): 15.0}
    assert values("roas", "model") == {("first",): pytest.approx(10 / 15), ("last",): pytest.approx(10 / 15)}


def test_a_spread_is_the_largest_less_the_smallest_share() -> None:
    assert values("spread", "channel") == {
        ("tv",): pytest.approx(0.6),
        ("web",): pytest.approx(0.4),
        ("mail",): pytest.approx(0.2),
    }
    assert values("spread") == {(): pytest.approx(0.6)}
    # On the last day, `last` has no row of tv, which is no share.
    assert values("spread", "day", "channel") == {
        (DAYS[0], "tv"): pytest.approx(0.625),
        (DAYS[0], "web"): pytest.approx(0.375),
        (DAYS[0], "mail"): pytest.approx(0.25),
        (DAYS[2], "tv"): pytest.approx(0.5),
        (DAYS[2], "web"): pytest.approx(0.5),
    }
    assert values("spread", "channel", "day") == {
        (channel, day): spread for (day, channel), spread in values("spread", "day", "channel").items()
    }


def test_models_that_agree_have_no_spread_and_those_without_a_sum_no_shares() -> None:
    def spread_of(*rows: tuple[str, str, float]) -> dict:
        frame = pl.DataFrame(rows, schema=["model", "channel", "credited"], orient="row")
        return {g: f.value for g, f in figures({"mart": frame}, SWITCHED.measure("spread"), []).items()}

    assert spread_of(("a", "tv", 3.0), ("a", "web", 1.0), ("b", "tv", 3.0), ("b", "web", 1.0)) == {(): 0.0}
    assert spread_of(("a", "tv", 3.0), ("b", "tv", 0.0), ("b", "web", 0.0)) == {(): 0.0}, "b credits nothing"
    assert spread_of(("a", "tv", 0.0)) == {}


def test_a_workbook_has_the_rows_of_every_choice() -> None:
    channels, days, models, paths = SWITCHED.tables
    headings, rows = table_rows(SWITCHED, channels, FRAMES)
    assert headings == ["Model", "Channel", "Credited", "Share", "Spend", "ROAS", "Disagreement"]
    assert [[round(cell, 6) if isinstance(cell, float) else cell for cell in row] for row in rows] == [
        ["first", "tv", 7.0, 0.7, 10.0, 0.7, 0.6],
        ["last", "web", 6.0, 0.6, 5.0, 1.2, 0.4],
        ["last", "mail", 3.0, 0.3, 0.0, None, 0.2],
        ["first", "web", 2.0, 0.2, 5.0, 0.4, 0.4],
        ["first", "mail", 1.0, 0.1, 0.0, None, 0.2],
        ["last", "tv", 1.0, 0.1, 10.0, 0.1, 0.6],
    ]
    headings, rows = table_rows(SWITCHED, days, FRAMES)
    assert headings == ["Model", "Day (UTC)", "ROAS", "Disagreement"]
    assert [row[:2] for row in rows] == [
        ["last", DAYS[0]], ["first", DAYS[0]], ["last", DAYS[2]], ["first", DAYS[2]]
    ]  # fmt: skip
    assert table_rows(SWITCHED, models, FRAMES)[1] == [
        ["last", 15.0, 10.0, pytest.approx(10 / 15)],
        ["first", 15.0, 10.0, pytest.approx(10 / 15)],
    ]
    assert table_rows(SWITCHED, paths, FRAMES) == (["Channel", "Conversions"], [["tv", 9.0]])


def test_the_file_holds_them_with_formats_and_says_what_is_unfinished() -> None:
    from openpyxl import load_workbook

    book = load_workbook(BytesIO(workbook.render(SWITCHED, FRAMES, WINDOW, [])))
    sheet = book["Channels"]
    assert [cell.value for cell in sheet[2]][:3] == ["first", "tv", 7]
    assert sheet["F2"].number_format == "0.0%"
    assert sheet.freeze_panes == "C2"
    about = {name: text for name, text in book["About"].iter_rows(max_col=2, values_only=True) if text}
    assert about["Unfinished"] == "ROAS: what comes of the days from 2026-01-02 on is still to come."


def test_the_choices_come_first_in_the_page_whatever_the_rows_hold() -> None:
    page = dashboard.render(SWITCHED, {name: frame.clear() for name, frame in FRAMES.items()}, WINDOW, [])
    found = re.search(r'id="rows">([^<]*)<', page)
    assert found
    assert unpack(found[1])["dictionaries"]["model"] == ["last", "first", NONE]


@pytest.mark.parametrize("days, first", [(1, date(2026, 1, 31)), (30, date(2026, 1, 2)), (0, None)])
def test_the_newest_days_of_a_measure_are_unfinished(days: int, first: date | None) -> None:
    assert replace(SWITCHED.measure("roas"), unfinished_days=days).unfinished_from(date(2026, 1, 31)) == first


@pytest.mark.parametrize(
    "change, message",
    [
        ({"dimensions": (*SWITCHED.dimensions[:1], replace(MODEL, values=("a",)))}, "it is no filter and lists no"),
        ({"dimensions": (*SWITCHED.dimensions[:1], replace(MODEL, is_filter=True))}, "it is no filter and lists no"),
        (
            {"dimensions": (*SWITCHED.dimensions, Dimension("other", "Other", one_of=("a",)))},
            "of model, other, only one",
        ),
        (
            {
                "measures": (
                    *SWITCHED.measures,
                    Measure("x", "X", Sum("mart", "spend", {"model": ("last",)}), Format.COUNT, "."),
                )
            },
            "measure x names values of model, of which one is chosen",
        ),
        (
            {"measures": (*SWITCHED.measures, Measure("x", "X", Spread(Sum("paths", "conversions"), "model", "channel"),
                                                      Format.SHARE, "."))},
            "measure x names 'model'",
        ),
        (
            {"charts": (Chart("Both", "roas", by="channel", against="spend"),)},
            "'Both' sets roas against spend, which takes bars",
        ),
        ({"charts": (Chart("Both", "spend", against="spend"),)}, "'Both' sets spend against spend, which takes bars"),
        ({"charts": (Chart("Both", "spend", by="channel", against="money"),)}, "'Both' names 'money'"),
    ],
)  # fmt: skip
def test_what_would_not_hold_everywhere_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SWITCHED, **change)
