"""A chart of a report as a Vega-Lite specification, without data: the page supplies the selected rows.

Vega uses the values of axes and colours as object keys, where a company named `constructor` collides with a built-in
property. So both are numbers here: places in lists of names. The names themselves are only text.
"""

from importlib import import_module
from typing import Any

from analytics_assets.spec.report import DAY, OTHER, Chart, Format, Measure, Report

ROWS = "rows"
"""The name of a chart's data.

`by` is a time or a place in NAMES, `place` is one in SPLITS; `value`, `low` and `high` are numbers; `full_by`,
`split`, `written` and `interval` are the texts of the tooltip, and `said` is the text for screen readers. `is_shaded`
marks one row of each unfinished day; `against` and `against_written` are a bar's other measure.
"""

NAMES, SPLITS = "names", "splits"
"""The signals that hold the names of the bars, in order, and the names of the colours."""

COLOURS = ("#0b6e99", "#c2571a", "#3f7d3a", "#8a4fa3", "#a3245e", "#6b6b2b", "#2f4b9c", "#6e6e6e")
"""Contrast of at least 3:1 against white, and distinguishable by colour-blind people; the last one is for `other`."""

UNFINISHED = "#f3e3c0"
"""The ground of days that are unfinished; lines and bars keep a contrast of 3:1 against it."""

_TICKS = {
    Format.COUNT: "~s",
    Format.SHARE: ".1~%",
    Format.SECONDS: ",~r",
    Format.MEAN: ",~r",
    Format.MONEY: ",~r",
    Format.PLAIN: ",~r",
}


def chart_spec(report: Report, chart: Chart) -> dict[str, Any]:
    """The specification of one chart.

    A measure over time is a line, with its interval as a band; if split, it is stacked bars. A measure by a dimension
    is bars, or lines where the dimension is a number and the chart says so; a share with an interval is points with the
    interval as a line, since a bar would hide its lower half.
    """
    alt: Any = import_module("altair")  # takes a second, and is not needed to load the definitions

    measure = report.measure(chart.measure)
    base = alt.Chart(alt.NamedData(ROWS))
    value = alt.Axis(
        format=".0%" if chart.as_shares else _TICKS[measure.format],
        title=_value_title(report, chart, measure),
        tickCount=6,
    )
    texts = {
        "tooltip": [alt.Tooltip(f"{field}:N", title=title) for field, title in _tooltip(report, chart, measure)],
        "description": alt.Description("said:N"),
    }
    if chart.by == DAY:
        day = alt.X(
            "utcyearmonthdate(by):O",
            title="day (UTC)",
            axis=alt.Axis(format="%d %b", labelAngle=0, labelOverlap=True, labelSeparation=6, grid=False),
        )
        layers = (
            base.mark_bar(stroke="white", strokeWidth=0.5).encode(
                day, _y(alt, chart, value), _colour(alt, report, chart), _order(alt), **texts
            )
            if chart.split
            else _lines(alt, base, day, value, measure, texts)
        )
        if measure.unfinished_days:
            shade = base.mark_rect(color=UNFINISHED, aria=False).transform_filter("datum.is_shaded").encode(day)
            layers = alt.layer(shade, layers)
    elif chart.lines:
        number = alt.X("by:Q", axis=alt.Axis(title=report.dimension(chart.by).title.lower(), grid=False, tickCount=8))
        colour = {"color": _colour(alt, report, chart)} if chart.split else {"color": alt.value(COLOURS[0])}
        layers = base.mark_line(point={"filled": True, "size": 35}).encode(
            number, alt.Y("value:Q", axis=value, scale=alt.Scale(zero=True)), **colour, **texts
        )
    else:
        label = alt.Axis(labelExpr=f"{NAMES}[datum.value]", labelLimit=170, labelPadding=6)
        names = alt.Y("by:O", sort="ascending", title=None, axis=label)
        if chart.split:
            stack = "normalize" if chart.as_shares else "zero"
            length = alt.X("value:Q", stack=stack, axis=value)
            layers = base.mark_bar(stroke="white", strokeWidth=0.5).encode(
                length, names, _colour(alt, report, chart), _order(alt), **texts
            )
        elif measure.has_interval and measure.format is Format.SHARE:
            points = base.mark_point(filled=True, opacity=1, size=70, color=COLOURS[0])
            rules = base.mark_rule(color=COLOURS[0], strokeWidth=2)
            ends = alt.X("low:Q", axis=value, scale=alt.Scale(zero=False))
            layers = alt.layer(
                rules.encode(ends, alt.X2("high:Q"), names, **texts),
                points.encode(alt.X("value:Q", axis=value), names, **texts),
            )
        else:
            layers = base.mark_bar(color=COLOURS[0]).encode(alt.X("value:Q", axis=value), names, **texts)
        if chart.against:
            mark = base.mark_tick(color=COLOURS[1], thickness=4, size=22, opacity=1, aria=False)
            layers = alt.layer(layers, mark.encode(alt.X("against:Q", axis=value), names, tooltip=texts["tooltip"]))
    config = {
        "font": "system-ui, sans-serif",
        "axis": {
            "labelColor": "#333",
            "titleColor": "#333",
            "labelFontSize": 12,
            "titleFontSize": 12,
            "gridColor": "#e3e6e8",
        },
        "legend": {"orient": "bottom", "labelFontSize": 12, "columns": 2, "titleFontSize": 12, "labelLimit": 140},
        "view": {"stroke": None},
    }
    spec = layers.properties(
        width="container",
        height=240,  # for bars, the page sets the height by their number
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding", resize=True),
        background="transparent",
    ).configure(**config)
    # Vega lays a legend out once: the names of known values must be there from the start, or they overlap.
    known = report.dimension(chart.split).values if chart.split else None
    splits = [*known, OTHER] if known is not None else []
    return spec.to_dict() | {"params": [{"name": NAMES, "value": []}, {"name": SPLITS, "value": splits}]}


def _lines(alt: Any, base: Any, day: Any, axis: Any, measure: Measure, texts: dict[str, Any]) -> Any:
    line = base.mark_line(point={"filled": True, "size": 35}, color=COLOURS[0]).encode(
        day, alt.Y("value:Q", axis=axis, scale=alt.Scale(zero=True)), **texts
    )
    if not measure.has_interval:
        return line
    band = base.mark_area(opacity=0.18, color=COLOURS[0]).encode(day, alt.Y("low:Q", axis=axis), alt.Y2("high:Q"))
    return alt.layer(band, line)


def _y(alt: Any, chart: Chart, axis: Any) -> Any:
    return alt.Y("value:Q", stack="normalize" if chart.as_shares else "zero", axis=axis)


def _order(alt: Any) -> Any:
    return alt.Order("place:Q")


def _colour(alt: Any, report: Report, chart: Chart) -> Any:
    assert chart.split is not None
    dimension = report.dimension(chart.split)
    scale = alt.Scale(range=list(COLOURS))
    if dimension.values is not None:
        known = [*dimension.values, OTHER]
        scale = alt.Scale(domain=list(range(len(known))), range=[*COLOURS[: len(dimension.values)], COLOURS[-1]])
    legend = alt.Legend(labelExpr=f"{SPLITS}[datum.value]")
    return alt.Color("place:N", title=dimension.title, scale=scale, legend=legend)


def _value_title(report: Report, chart: Chart, measure: Measure) -> str:
    if chart.as_shares:
        return f"share of {measure.title.lower()}"
    unit = "" if measure.format is Format.SHARE else report.unit(measure)  # the ticks of shares have it themselves
    return f"{measure.title.lower()} ({unit})" if unit else measure.title.lower()


def _tooltip(report: Report, chart: Chart, measure: Measure) -> list[tuple[str, str]]:
    found = [("full_by", "day" if chart.by == DAY else report.dimension(chart.by).title)]
    if chart.split:
        found.append(("split", report.dimension(chart.split).title))
    found.append(("written", measure.title))
    if measure.has_interval:
        found.append(("interval", "95 % interval"))
    if chart.against:
        found.append(("against_written", report.measure(chart.against).title))
    return found
