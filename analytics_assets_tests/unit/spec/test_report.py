"""What a report must not declare."""

from dataclasses import replace
from typing import Any

import pytest

from analytics_assets.spec.report import WEEKDAY, Chart, Dataset, Dimension, Format, Measure, Report, Shape, Sum
from analytics_assets_tests.support.report_of_months import MONTHS


def with_chart(**changes: Any) -> Report:
    return replace(MONTHS, charts=(Chart("One", **({"measure": "asked"} | changes)),))


def with_measure(name: str, **changes: Any) -> Report:
    measures = tuple(replace(one, **changes) if one.name == name else one for one in MONTHS.measures)
    return replace(MONTHS, measures=measures, charts=())


@pytest.mark.parametrize(
    ("chart", "said"),
    [
        ({"shape": Shape.HEATMAP, "by": WEEKDAY}, "takes two dimensions, or one and the weekday"),
        ({"shape": Shape.HEATMAP, "by": "day", "split": "kind"}, "takes two dimensions, or one and the weekday"),
        ({"shape": Shape.SCATTER, "by": "country"}, "takes two measures by a dimension"),
        ({"shape": Shape.SCATTER, "by": "day", "against": "spend"}, "takes two measures by a dimension"),
        ({"shape": Shape.MAP, "by": "kind"}, "takes one measure by a dimension of countries"),
        ({"shape": Shape.MAP, "by": WEEKDAY}, "takes one measure by a dimension of countries"),
        ({"measure": "spend", "by": "country", "against": "price"}, "two measures in one unit"),
        ({"by": WEEKDAY, "lines": True}, "which lists no values"),
        ({"shape": Shape.FUNNEL}, "has steps if it is a funnel or a waterfall"),
        ({"steps": ("visitors",)}, "has steps if it is a funnel or a waterfall"),
        ({"shape": Shape.FUNNEL, "steps": ("rate",)}, "steps in more than one unit"),
        ({"shape": Shape.FUNNEL, "steps": ("asked",), "by": "kind"}, "takes steps alone"),
        ({"shape": Shape.WATERFALL, "steps": ("asked",)}, "the measure at which it ends"),
        ({"shape": Shape.FUNNEL, "steps": ("nothing",)}, "names 'nothing'"),
    ],
)
def test_a_chart_that_cannot_be_drawn_is_refused(chart: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        with_chart(**chart)


@pytest.mark.parametrize(
    ("measure", "changes", "said"),
    [
        ("rate", {"good": None}, "that takes a ratio or a spread, and which direction is good"),
        ("asked", {"target": 100}, "that takes a ratio or a spread"),
        ("asked", {"currency": "$"}, "is no money"),
        ("rate", {"unit": "calls"}, "and its format another"),
    ],
)
def test_a_measure_that_contradicts_itself_is_refused(measure: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        with_measure(measure, **changes)


def test_a_dataset_without_a_filter_must_stand_apart_and_nothing_mixes_the_two() -> None:
    bills = replace(MONTHS.datasets[1], dimensions=("country",))
    with pytest.raises(ValueError, match="a filter acts on everything at once, but bills has no kind"):
        replace(MONTHS, datasets=(MONTHS.datasets[0], bills))
    apart = replace(bills, is_apart=True)
    with pytest.raises(ValueError, match="measure price divides what filters act on by what they leave as it is"):
        replace(MONTHS, datasets=(MONTHS.datasets[0], apart))
    measures = tuple(one for one in MONTHS.measures if one.name not in ("price", "few"))
    tables = (replace(MONTHS.tables[0], measures=("asked", "spend")),)
    only = {"measures": measures, "key_figures": ("spend",), "charts": (), "tables": tables}
    assert replace(MONTHS, datasets=(MONTHS.datasets[0], apart), **only)


def test_an_analysis_has_no_weekday() -> None:
    with pytest.raises(ValueError, match="is by weekday; fitted is an analysis"):
        Report(
            name="fitted",
            title="Fitted",
            days=1,
            datasets=(Dataset("fitted", ("kind",), ("number",), is_analysis=True),),
            dimensions=(Dimension("kind", "Kind"),),
            measures=(Measure("number", "Number", Sum("fitted", "number"), Format.COUNT, "."),),
            key_figures=(),
            charts=(Chart("One", "number", by=WEEKDAY),),
            tables=(),
        )


@pytest.mark.parametrize("name", ["day", "weekday"])
def test_a_dimension_is_not_called_as_the_day_is(name: str) -> None:
    dimensions = (*MONTHS.dimensions, Dimension(name, "Another"))
    with pytest.raises(ValueError, match=f"{name} is the name of"):
        replace(MONTHS, dimensions=dimensions)


def test_a_unit_is_that_of_the_measure_or_else_of_the_report() -> None:
    units = {measure.name: MONTHS.unit(measure) for measure in MONTHS.measures}
    assert units == {
        "asked": "calls", "visitors": "", "rate": "%", "spend": "$", "price": "€", "apart": "%", "few": ""
    }  # fmt: skip
