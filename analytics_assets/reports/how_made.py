"""How each figure of a report is made, in words: the tab of the workbook and of the Google Sheet that says so."""

from collections.abc import Mapping, Sequence

from analytics_assets.reports.figures import FEWEST_ROWS
from analytics_assets.reports.tabs import Cell, Tab
from analytics_assets.spec.report import Distinct, Measure, Ratio, Report, Spread, Sum, Value, parts_of

HOW_MADE = "How each figure is made"
"""The title of the tab."""

HEADINGS = ("Figure", "What it means", "Formula", "Unit", "95 % interval", "Read from", "What that is")


def how_made(report: Report, described: Mapping[str, str]) -> Tab:
    """A row for each figure of a report and of those that it is written with.

    Args:
        described: what is said of models and analyses, by name.
    """
    rows = dict.fromkeys(_row(part, measure, described) for part in report.parts for measure in part.measures)
    return Tab(
        HOW_MADE, HEADINGS, [[*row] for row in rows], (None,) * len(HEADINGS), named_by=1, widest=60, is_prose=True
    )


def _row(report: Report, measure: Measure, described: Mapping[str, str]) -> tuple[Cell, ...]:
    models = dict.fromkeys(report.models_of(measure))
    said = [(model, text) for model in models if (text := " ".join(described.get(model, "").split()))]
    return (
        measure.title,
        measure.note,
        formula(measure.value),
        report.unit(measure) or "number",
        interval(measure) or None,
        ", ".join(models),
        (said[0][1] if len(models) == 1 and said else "\n".join(f"{model}: {text}" for model, text in said)) or None,
    )


def formula(value: Value) -> str:
    """How a value is made of columns of models."""
    match value:
        case Sum():
            return f"sum of {value.column} of {value.model}{_where(value)}"
        case Distinct():
            without = f", without {', '.join(value.besides)}" if value.besides else ""
            return f"number of different values of {value.dimension} in {value.model}{without}"
        case Ratio():
            times = f" × {value.times:,}" if value.times != 1 else ""
            return f"({formula(value.over)}) / ({formula(value.under)}){times}"
        case Spread():
            return (
                f"largest less smallest share that a {value.part} has in the {formula(value.sum)}, by {value.across}; "
                f"of several values of {value.part}, that of the one for which it is largest"
            )


def interval(measure: Measure) -> str:
    """What the interval of a figure is made of; empty if it has none."""
    if not measure.has_interval:
        return ""
    parts = [part for part in parts_of(measure.value) if isinstance(part, Sum) and part.variance]
    said = (
        f"from {part.variance} of {part.model}; none where {part.rows} is below {FEWEST_ROWS}"
        if part.rows
        else f"from {part.variance} of {part.model}"
        for part in parts
    )
    return "; ".join(dict.fromkeys(said))


def _where(value: Sum) -> str:
    said: Sequence[str] = [
        f"{column} is {values[0]}" if len(values) == 1 else f"{column} is one of {', '.join(values)}"
        for column, values in value.where.items()
    ]
    return f" where {' and '.join(said)}" if said else ""
