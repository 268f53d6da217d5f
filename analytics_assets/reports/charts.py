"""A chart of a report as a Vega-Lite specification, without data: the page supplies the selected rows.

Vega uses the values of axes as object keys, where a company named `constructor` collides with a built-in property. So
they are numbers here: places in lists of names. The names themselves are only text.

Colours are variables of the page's style sheet, which has others for dark screens and for paper; what a row of a split
is coloured in stands in the row. The legend is the page's, not Vega's: it names what is there and nothing else, shows
long names whole, and can be clicked.
"""

from importlib import import_module
from typing import Any

from analytics_assets.foundation.words import lower_first
from analytics_assets.spec.report import DAY, Chart, Format, Measure, Report, Shape

ROWS = "rows"
"""The name of a chart's data.

`by` is a time or a place in NAMES, `place` is one in SPLITS; `value`, `low` and `high` are numbers; `full_by`,
`split`, `written` and `interval` are the texts of the tooltip, and `said` is the text for screen readers. `colour` is
that of the split; `weight` is how opaque the row is drawn, `ground` what fills its point: of an incomplete week or
month the paper. `is_shaded` marks one row of each unfinished day; `against` and `against_written` are the other
measure. A row of a map is a GeoJSON feature. A bar of a funnel or a waterfall reaches from `start` to `end`; `next` is
the bar after it, and `share_of_first` and `share_of_last` are texts of a funnel.
"""

NAMES, SPLITS, GRAIN = "names", "splits", "grain"
"""The signals that hold the names of the bars in order, the names of a heatmap's rows, and `day`, `week` or `month`."""

COLOURS = ("#0b6e99", "#c2571a", "#3f7d3a", "#8a4fa3", "#a3245e", "#6b6b2b", "#2f4b9c", "#6e6e6e")
"""On white paper: a contrast of at least 3:1, and distinguishable by colour-blind people; the last is for `other`."""

DARK_COLOURS = ("#4fb3d9", "#f0955a", "#7fc07a", "#c79be0", "#f07fae", "#c5c56a", "#8fa8f0", "#a9b0b6")
"""The same on dark screens."""

_COLOUR, _SECOND, _PAPER, _LINE = "var(--c0)", "var(--c1)", "var(--paper)", "var(--line)"

# Thousands as k, M and B; what is below a thousand as it is.
_COUNTS = "abs(datum.value) < 1000 ? format(datum.value, ',~r') : replace(format(datum.value, '~s'), 'G', 'B')"
_TICKS = {Format.SHARE: ".1~%"}
_OTHER_TICKS = ",~r"


def chart_spec(report: Report, chart: Chart) -> dict[str, Any]:
    """The specification of one chart.

    A measure over time is a line, with its interval as a band; if split, it is stacked bars. A measure by a dimension
    is bars, or lines where the dimension is a number and the chart says so; a share with an interval is points with the
    interval as a line, since a bar would hide its lower half. A target is a dashed line across what is not split.
    """
    alt: Any = import_module("altair")  # takes a second, and is not needed to load the definitions

    measure = report.measure(chart.measure)
    base = alt.Chart(alt.NamedData(ROWS))
    texts = {
        "tooltip": [alt.Tooltip(f"{field}:N", title=title) for field, title in _tooltip(report, chart, measure)],
        "description": alt.Description("said:N"),
    }
    value = _axis(alt, report, measure, chart.as_shares)
    if chart.shape is Shape.WATERFALL:
        value.title = report.unit(measure) or None  # each bar is another measure
    if chart.shape is Shape.HEATMAP:
        layers = _heatmap(alt, base, texts)
    elif chart.shape is Shape.SCATTER:
        layers = _scatter(alt, base, report, chart, value, texts)
    elif chart.shape is Shape.MAP:
        layers = _map(alt, base, texts)
    elif chart.shape in (Shape.FUNNEL, Shape.WATERFALL):
        layers = _steps(alt, base, chart, value, texts)
    elif chart.by == DAY:
        layers = _over_time(alt, base, report, chart, measure, value, texts)
    elif chart.lines:
        layers = _curves(alt, base, report, chart, value, texts)
    else:
        layers = _bars(alt, base, chart, measure, value, texts)
    if measure.target is not None and not chart.split and chart.shape is None:
        once = alt.Chart(alt.InlineData(values=[{}]))
        rule = once.mark_rule(strokeDash=[6, 4], strokeWidth=2, color="var(--ink)", aria=False)
        target = alt.datum(measure.target)
        across = {"y": target} if chart.by == DAY or chart.lines else {"x": target}
        layers = alt.layer(layers, rule.encode(**across))
    config = {
        "font": "system-ui, sans-serif",
        "axis": {
            "labelColor": "var(--ink)",
            "titleColor": "var(--ink)",
            "labelFontSize": 12,
            "titleFontSize": 12,
            "gridColor": _LINE,
            "domainColor": "var(--edge)",
            "tickColor": "var(--edge)",
        },
        "view": {"stroke": None},
    }
    spec = layers.properties(
        width="container",
        height=300 if chart.shape is Shape.MAP else 240,  # for bars and cells, the page sets it by their number
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding", resize=True),
        background="transparent",
    ).configure(**config)
    signals = [{"name": NAMES, "value": []}, {"name": SPLITS, "value": []}, {"name": GRAIN, "value": DAY}]
    return spec.to_dict() | {"params": signals}


def _axis(alt: Any, report: Report, measure: Measure, as_shares: bool = False) -> Any:
    """The axis of a measure's values."""
    title = _value_title(report, measure, as_shares)
    if as_shares:
        return alt.Axis(format=".0%", title=title, tickCount=6)
    if measure.format is Format.COUNT:
        return alt.Axis(labelExpr=_COUNTS, title=title, tickCount=6)
    return alt.Axis(format=_TICKS.get(measure.format, _OTHER_TICKS), title=title, tickCount=6)


def _over_time(
    alt: Any, base: Any, report: Report, chart: Chart, measure: Measure, axis: Any, texts: dict[str, Any]
) -> Any:
    label = f"{GRAIN} == 'month' ? utcFormat(datum.value, '%b %Y') : utcFormat(datum.value, '%d %b')"
    day = alt.X(
        "utcyearmonthdate(by):O",
        title=f"{DAY.title()} ({report.timezone})",  # the page replaces it where the grain is another
        axis=alt.Axis(labelExpr=label, labelAngle=0, labelOverlap=True, labelSeparation=6, grid=False),
    )
    if chart.split:
        length = alt.Y("value:Q", stack="normalize" if chart.as_shares else "zero", axis=axis)
        layers = base.mark_bar(stroke=_PAPER, strokeWidth=0.5).encode(
            day, length, _colour(alt), _weight(alt), alt.Order("place:Q"), **texts
        )
    else:
        height = alt.Y("value:Q", axis=axis, scale=alt.Scale(zero=True))
        line = base.mark_line(color=_COLOUR, aria=False).encode(day, height)
        points = base.mark_point(size=35, opacity=1, stroke=_COLOUR).encode(
            day, height, fill=alt.Fill("ground:N", scale=None), **texts
        )
        layers = alt.layer(line, points.transform_filter("isValid(datum.value)"))
        if measure.has_interval:
            ends = (alt.Y("low:Q", axis=axis), alt.Y2("high:Q"))
            layers = alt.layer(base.mark_area(opacity=0.18, color=_COLOUR).encode(day, *ends), layers)
    if measure.unfinished_days:
        shade = base.mark_rect(color="var(--unfinished)", aria=False)
        layers = alt.layer(shade.transform_filter("datum.is_shaded").encode(day), layers)
    return layers


def _curves(alt: Any, base: Any, report: Report, chart: Chart, axis: Any, texts: dict[str, Any]) -> Any:
    title = report.dimension(chart.by).title
    number = alt.X("by:Q", axis=alt.Axis(title=title, grid=False, tickCount=8))
    height = alt.Y("value:Q", axis=axis, scale=alt.Scale(zero=True))
    line = base.mark_line(aria=False).encode(number, height, _colour(alt), detail="place:N")
    points = base.mark_point(filled=True, opacity=1, size=35).encode(number, height, _colour(alt), **texts)
    return alt.layer(line, points)


def _bars(alt: Any, base: Any, chart: Chart, measure: Measure, axis: Any, texts: dict[str, Any]) -> Any:
    names = _names(alt)
    if chart.split:
        length = alt.X("value:Q", stack="normalize" if chart.as_shares else "zero", axis=axis)
        return base.mark_bar(stroke=_PAPER, strokeWidth=0.5).encode(
            length, names, _colour(alt), alt.Order("place:Q"), **texts
        )
    if measure.has_interval and measure.format is Format.SHARE:
        points = base.mark_point(filled=True, opacity=1, size=70, color=_COLOUR)
        rules = base.mark_rule(color=_COLOUR, strokeWidth=2)
        ends = alt.X("low:Q", axis=axis, scale=alt.Scale(zero=False))
        layers = alt.layer(
            rules.encode(ends, alt.X2("high:Q"), names, **texts),
            points.encode(alt.X("value:Q", axis=axis), names, **texts),
        )
    else:
        layers = base.mark_bar(color=_COLOUR).encode(alt.X("value:Q", axis=axis), names, **texts)
    if chart.against:
        mark = base.mark_tick(color=_SECOND, thickness=4, size=22, opacity=1, aria=False)
        layers = alt.layer(layers, mark.encode(alt.X("against:Q", axis=axis), names, tooltip=texts["tooltip"]))
    return layers


def _heatmap(alt: Any, base: Any, texts: dict[str, Any]) -> Any:
    """Cells in the strength of their value, which also stands in them."""
    across = alt.X(
        "by:O",
        sort="ascending",
        title=None,
        axis=alt.Axis(orient="top", labelExpr=f"slice({NAMES}[datum.value], 0, 14)", labelAngle=0, labelOverlap=True),
    )
    rows = _names(alt, "place", SPLITS)
    cells = base.mark_rect(color=_COLOUR, stroke=_PAPER, strokeWidth=1)
    written = base.mark_text(color="var(--ink)", fontSize=11, aria=False)
    return alt.layer(
        cells.encode(across, rows, _weight(alt), **texts),
        written.encode(across, rows, text="written:N", tooltip=texts["tooltip"]),
    )


def _scatter(alt: Any, base: Any, report: Report, chart: Chart, axis: Any, texts: dict[str, Any]) -> Any:
    assert chart.against is not None
    other = _axis(alt, report, report.measure(chart.against))
    return base.mark_point(filled=True, opacity=0.8, size=90, color=_COLOUR).encode(
        alt.X("against:Q", axis=other), alt.Y("value:Q", axis=axis), **texts
    )


def _map(alt: Any, base: Any, texts: dict[str, Any]) -> Any:
    """Countries; those without a row are grey, and said by nobody."""
    land = base.mark_geoshape(fill=_LINE, stroke=_PAPER, strokeWidth=0.5, aria=False)
    with_value = base.mark_geoshape(fill=_COLOUR, stroke="var(--edge)", strokeWidth=0.5).encode(_weight(alt), **texts)
    layers = alt.layer(land, with_value.transform_filter("isValid(datum.value)"))
    scale, middle = alt.expr("min(width / 5.4, height / 2.2)"), alt.expr("[width / 2, height * 0.57]")  # without a pole
    return layers.project(type="equalEarth", pointRadius=3, scale=scale, translate=middle)


def _steps(alt: Any, base: Any, chart: Chart, axis: Any, texts: dict[str, Any]) -> Any:
    """Bars from above, each with its name and its value beside it; lines lead from one to the next in a waterfall."""
    label = alt.Axis(labelExpr=f"split({NAMES}[datum.value], '\\n')", labelLimit=190, labelPadding=6)
    apart = alt.Scale(type="band", paddingInner=0.25, paddingOuter=0.1)  # lines alone would stand at points
    names = alt.Y("by:O", sort="ascending", title=None, axis=label, scale=apart)
    bars = base.mark_bar().encode(alt.X("start:Q", axis=axis), alt.X2("end:Q"), names, _colour(alt), **texts)
    if chart.shape is Shape.FUNNEL:
        return bars
    lines = base.mark_rule(color="var(--edge)", aria=False).encode(alt.X("end:Q"), names, alt.Y2("next:O"))
    return alt.layer(lines.transform_filter("isValid(datum.next)"), bars)


def _names(alt: Any, field: str = "by", names: str = NAMES) -> Any:
    """The axis from above of places in a list of names."""
    label = alt.Axis(labelExpr=f"{names}[datum.value]", labelLimit=170, labelPadding=6)
    return alt.Y(f"{field}:O", sort="ascending", title=None, axis=label)


def _colour(alt: Any) -> Any:
    return alt.Color("colour:N", scale=None, legend=None)


def _weight(alt: Any) -> Any:
    return alt.FillOpacity("weight:Q", scale=None, legend=None)


def _value_title(report: Report, measure: Measure, as_shares: bool) -> str:
    if as_shares:
        return f"Share of {lower_first(measure.title)}"
    unit = "" if measure.format is Format.SHARE else report.unit(measure)  # the ticks of shares have it themselves
    return f"{measure.title} ({unit})" if unit else measure.title


def _tooltip(report: Report, chart: Chart, measure: Measure) -> list[tuple[str, str]]:
    if chart.steps:
        of_funnel = [("share_of_last", "Of the step before"), ("share_of_first", f"Of {measure.title.lower()}")]
        return [("full_by", "Step"), ("written", "Value"), *(of_funnel if chart.shape is Shape.FUNNEL else [])]
    found = [("full_by", "from" if chart.by == DAY else report.dimension(chart.by).title)]
    if chart.split:
        found.append(("split", report.dimension(chart.split).title))
    found.append(("written", measure.title))
    if measure.has_interval:
        found.append(("interval", "95 % interval"))
    if chart.against:
        found.append(("against_written", report.measure(chart.against).title))
    return found
