"""What an analysis says above the figures, and reports whose tables stand in another one's workbook."""

from dataclasses import replace
from datetime import date
from io import BytesIO

import polars as pl
import pytest

from analytics_assets.partitions import Window
from analytics_assets.reports import dashboard, workbook
from analytics_assets.reports.figures import figures, interval_of_sum
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.report import (
    Dataset,
    Dimension,
    Format,
    Measure,
    Ratio,
    Report,
    ReportFile,
    Sentences,
    Sum,
    Table,
)

AT = date(2026, 1, 1)
WINDOW = Window.of_days(AT, AT)
HOSTILE = "<img src=x onerror=alert(1)> & =1+1"

ADVICE = Report(
    name="advice",
    title="Advice",
    days=1,
    datasets=(Dataset("advice", ("rank", "rule", "sentence"), ("value",), is_analysis=True),),
    dimensions=(Dimension("rank", "Rank"), Dimension("rule", "Rule"), Dimension("sentence", "Sentence")),
    measures=(Measure("value", "Value", Sum("advice", "value"), Format.PLAIN, "."),),
    key_figures=(),
    charts=(),
    tables=(Table("advice", "Advice", ("rank", "rule", "sentence"), ("value",), in_order=True),),
    notes=("Of the advice.",),
    sentences=Sentences("advice", "What to do", text="sentence", under="rule", shown=2),
)
COSTS = Report(
    name="costs",
    title="Costs",
    days=1,
    datasets=(Dataset("costs", ("place",), ("cost",)),),
    dimensions=(Dimension("place", "Place"),),
    measures=(Measure("cost", "Cost", Sum("costs", "cost"), Format.MONEY, "."),),
    key_figures=("cost",),
    charts=(),
    tables=(Table("costs", "Costs", ("place",), ("cost",)),),
    with_tabs_of=(ADVICE,),
)
RULES = ["First", "First", "First", HOSTILE]
FRAMES = {
    "advice": pl.DataFrame(
        {
            "day": [AT] * 4,
            "rank": ["1", "2", "3", "4"],
            "rule": RULES,
            "sentence": ["One.", "Two.", "Three.", HOSTILE],
            "value": [0.12345, 2.0, None, 1234567.0],
        }
    ),
    "costs": pl.DataFrame({"day": [AT], "place": ["x"], "cost": [5.0]}),
}


def test_sentences_stand_above_the_figures_below_their_rules_and_are_text() -> None:
    page = dashboard.render(ADVICE, FRAMES, WINDOW, [])
    section = page.split('<section class="sentences"')[1].split("</section>")[0]
    assert section.index("What to do") < section.index("One.") < section.index("Two.") < section.index("1 more")
    assert section.index("1 more") < section.index("Three.") < section.index("&lt;img")
    assert section.count("<details>") == 1
    assert HOSTILE not in page
    assert page.index('<section class="sentences"') < page.index('id="figures"')


def test_where_an_analysis_says_nothing_there_is_no_section() -> None:
    nothing = {name: frame.clear() for name, frame in FRAMES.items()}
    assert 'class="sentences"' not in dashboard.render(ADVICE, nothing, WINDOW, [])
    assert 'class="sentences"' not in dashboard.render(replace(ADVICE, sentences=None), FRAMES, WINDOW, [])


def test_the_tables_of_another_report_are_tabs_of_the_workbook_and_not_of_the_page() -> None:
    from openpyxl import load_workbook

    book = load_workbook(BytesIO(workbook.render(COSTS, FRAMES, WINDOW, [])))
    assert book.sheetnames == ["About", "Costs", "Advice", "How each figure is made"]
    rows = [row for row in book["Advice"].iter_rows(min_row=2, values_only=True)]
    assert rows == [
        ("1", "First", "One.", 0.12345),
        ("2", "First", "Two.", 2),
        ("3", "First", "Three.", None),
        ("4", HOSTILE, HOSTILE, 1234567),
    ]
    about = [(name, text) for name, text in book["About"].iter_rows(max_col=2, values_only=True) if text]
    assert ("Note", "Of the advice.") in about
    assert {"Cost", "Value"} <= {name for name, _ in about}
    page = dashboard.render(COSTS, {"costs": FRAMES["costs"]}, WINDOW, [])
    assert 'id="table-costs"' in page
    assert 'id="table-advice"' not in page


def test_a_file_reads_what_it_shows() -> None:
    assert COSTS.parts_of(ReportFile.DASHBOARD) == (COSTS,)
    assert COSTS.parts_of(ReportFile.WORKBOOK) == COSTS.parts_of(ReportFile.SHEET) == (COSTS, ADVICE)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"with_tabs_of": (replace(COSTS, with_tabs_of=()),)}, "two tables are titled 'costs'"),
        (
            {"with_tabs_of": (replace(COSTS, tables=(), with_tabs_of=()),)},
            "two reports show 'costs', of which one workbook holds one",
        ),
        ({"sentences": Sentences("costs", "What to do", text="place", under="place")}, "its sentences names 'costs'"),
    ],
)
def test_what_one_workbook_cannot_hold_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(COSTS, **change)


def test_sentences_and_tables_have_titles_of_their_own() -> None:
    with pytest.raises(ValueError, match="its sentences and a table are both titled 'Advice'"):
        replace(ADVICE, sentences=Sentences("advice", "Advice", text="sentence", under="rule"))


def test_sentences_need_the_columns_of_their_dataset() -> None:
    with pytest.raises(ValueError, match="its sentences names 'text'"):
        replace(ADVICE, sentences=Sentences("advice", "What to do", text="text", under="rule"))


def test_a_domain_has_the_analyses_that_its_reports_show_in_tabs() -> None:
    with pytest.raises(ValueError, match="there is no analysis 'advice'"):
        Domain(name="costs", owner="team:costs", reports=(COSTS,))


# ------------------------------------------------------------------------------------- what is known beside estimates

EXACT = Sum("m", "cost", is_exact=True)
ESTIMATE = Sum("m", "brought", variance="v", rows="n")
PARTS = pl.DataFrame({"cost": [40.0, 60.0], "brought": [100.0, 300.0], "v": [400.0, 2000.0], "n": [20.0, 20.0]})


def ratio_of(over: Sum, under: Sum, frame: pl.DataFrame = PARTS) -> tuple[float | None, float | None, float | None]:
    measure = Measure("one", "One", Ratio(over, under), Format.SHARE, ".")
    assert measure.has_interval
    found = figures({"m": frame}, measure, [])[()]
    return found.value, found.low, found.high


def test_a_ratio_to_what_is_known_has_the_interval_of_the_estimate() -> None:
    """By hand: 1.96 * sqrt(2400) / 400 = 0.240050, and e to the power of it is 1.271312."""
    spread = pytest.approx(1.271312, rel=1e-5)
    value, low, high = ratio_of(ESTIMATE, EXACT)
    assert value == 4.0
    assert high is not None and low is not None
    assert (high / 4, 4 / low) == (spread, spread)
    value, low, high = ratio_of(EXACT, ESTIMATE)
    assert value == 0.25
    assert high is not None and low is not None
    assert (high / 0.25, 0.25 / low) == (spread, spread)
    few = PARTS.with_columns(n=pl.lit(14.0))
    assert ratio_of(ESTIMATE, EXACT, few) == (4.0, None, None)


def test_two_exact_sums_have_no_interval() -> None:
    assert not Measure("one", "One", Ratio(EXACT, EXACT), Format.SHARE, ".").has_interval
    assert not Measure("one", "One", EXACT, Format.SHARE, ".").has_interval


def test_the_interval_of_a_negative_sum_lies_around_it() -> None:
    assert interval_of_sum(-10, 4) == (pytest.approx(-13.92), pytest.approx(-6.08))
