"""Evaluates measures over rows in Python, for the workbook. The page evaluates the same measures in the browser."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from analytics_assets.reports.datasets import Frames
from analytics_assets.spec.report import NONE, Dimension, Distinct, Measure, Ratio, Spread, Sum, parts_of

Z = 1.96
"""The normal quantile of a 95 % interval."""

FEWEST_ROWS = 30
"""Minimum number of sampled rows for an interval; below it, the normal approximation does not hold."""


@dataclass(frozen=True)
class Figure:
    """A measure's value, and the ends of its 95 % interval if it has one."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class _Total:
    """A sum, with the inputs of its interval; no value where all rows lack theirs."""

    value: float | None
    variance: float | None = None
    rows: float = 0

    @property
    def is_estimate(self) -> bool:
        return self.variance is not None and self.rows >= FEWEST_ROWS


def interval_of_sum(value: float, variance: float) -> tuple[float, float]:
    """The 95 % interval of a volume, by its Horvitz-Thompson variance; see dbt_project/macros/sampling.sql.

    A volume is not negative, so that its interval ends at 0; a negative sum is of something else.
    """
    half = Z * math.sqrt(variance)
    return value - half if value < 0 else max(value - half, 0.0), value + half


def interval_of_ratio(over: float, over_variance: float, under: float, under_variance: float) -> tuple[float, float]:
    """The 95 % interval of a ratio of two volumes, on the scale of logarithms; see dbt_project/macros/sampling.sql."""
    spread = math.exp(Z * math.sqrt(over_variance / over**2 + under_variance / under**2))
    return over / under / spread, over / under * spread


def interval_of_share(part: float, part_variance: float, whole: float, whole_variance: float) -> tuple[float, float]:
    """The 95 % interval of a part of a volume, by the linearized variance of its residuals (Cochran 1977, chapter 6).

    The residual of a row is its volume if it belongs to the part (else 0), less the share of its volume. So the
    variances of the part and of the rest are weighted with (1 - share)^2 and share^2.
    """
    share = part / whole
    variance = part_variance * (1 - share) ** 2 + (whole_variance - part_variance) * share**2
    half = Z * math.sqrt(max(variance, 0.0)) / whole
    return max(share - half, 0.0), min(share + half, 1.0)


def figures(
    frames: Frames, measure: Measure, by: Sequence[str], switch: Dimension | None = None
) -> dict[tuple[object, ...], Figure]:
    """A measure for each group that has rows; without `by`, for all rows, under an empty tuple.

    Args:
        switch: the report's dimension of which one value counts at a time. If the figures are by it, rows without a
            value count for each; if not, the rows are those of one choice.
    """
    value = measure.value
    if switch and switch.column in (*by, value.across if isinstance(value, Spread) else ""):
        frames = {part.model: _of_each(frames[part.model], switch) for part in parts_of(value)}
    if isinstance(value, Distinct):
        return {group: Figure(number) for group, number in _distinct(frames[value.model], value, by).items()}
    if isinstance(value, Spread):
        return {group: Figure(spread) for group, spread in _spreads(frames[value.sum.model], value, by).items()}
    if isinstance(value, Sum):
        return {group: _figure(total) for group, total in _totals(frames[value.model], value, by).items()}
    over = _totals(frames[value.over.model], value.over, by)
    under = _totals(frames[value.under.model], value.under, by)
    nothing = _Total(0.0)
    return {
        group: _ratio(measure, value, over.get(group, nothing), under.get(group, nothing))
        for group in over.keys() | under.keys()
    }


def of_choice(frames: Frames, switch: Dimension, choice: str) -> Frames:
    """The rows that count for one value of the switch: its own, and those without a value."""
    counts = pl.col(switch.column).is_in([choice, NONE])
    return {name: frame.filter(counts) if switch.column in frame.columns else frame for name, frame in frames.items()}


def _of_each(frame: pl.DataFrame, switch: Dimension) -> pl.DataFrame:
    """The rows with a row for each choice in the place of one that has no value."""
    of_none = pl.col(switch.column) == NONE
    choices = pl.lit(list(switch.one_of))
    values = pl.when(of_none).then(choices).otherwise(pl.concat_list(switch.column))
    return frame.with_columns(values.alias(switch.column)).explode(switch.column)


def newest_values(
    frames: Frames, measure: Measure, by: Sequence[str], columns: Sequence[str]
) -> dict[tuple[object, ...], tuple[object, ...]]:
    """The values of some dimensions on each group's newest day, in the rows of a measure."""
    part = parts_of(measure.value)[0]
    newest = frames[part.model].group_by(by, maintain_order=True).agg(pl.col(columns).last())  # sorted by day
    return {tuple(row[: len(by)]): tuple(row[len(by) :]) for row in newest.rows()}


def _figure(total: _Total) -> Figure:
    if total.value is None or total.variance is None or not total.is_estimate:
        return Figure(total.value)
    return Figure(total.value, *interval_of_sum(total.value, total.variance))


def _ratio(measure: Measure, ratio: Ratio, over: _Total, under: _Total) -> Figure:
    if over.value is None or not under.value:
        return Figure(None)
    value = over.value / under.value * ratio.times
    first, second = _variance(ratio.over, over), _variance(ratio.under, under)
    if not measure.has_interval or first is None or second is None or over.value <= 0 or under.value <= 0:
        return Figure(value)
    interval = interval_of_share if ratio.is_share else interval_of_ratio
    low, high = interval(over.value, first, under.value, second)
    return Figure(value, low * ratio.times, high * ratio.times)


def _variance(part: Sum, total: _Total) -> float | None:
    """The variance of a part of a ratio; None where it is not known."""
    if part.is_exact:
        return 0.0
    return total.variance if total.is_estimate else None


def _totals(frame: pl.DataFrame, sum_: Sum, by: Sequence[str]) -> Mapping[tuple[object, ...], _Total]:
    counts = pl.lit(True)
    for column, values in sum_.where.items():
        counts &= pl.col(column).is_in(values)
    columns = {"value": sum_.column, "variance": sum_.variance, "rows": sum_.rows}
    sums = [_sum(pl.col(column).filter(counts)).alias(name) for name, column in columns.items() if column]
    return {group: _Total(**row) for group, row in _grouped(frame, by, sums)}


def _sum(values: pl.Expr) -> pl.Expr:
    """A sum; null where there are values, and all of them are null."""
    return pl.when((values.len() > 0) & values.is_null().all()).then(None).otherwise(values.sum())


def _distinct(frame: pl.DataFrame, distinct: Distinct, by: Sequence[str]) -> Mapping[tuple[object, ...], float]:
    values = pl.col(distinct.dimension)
    number = values.filter(~values.is_in(distinct.besides)).n_unique().cast(pl.Float64).alias("value")
    return {group: row["value"] for group, row in _grouped(frame, by, [number])}


def _spreads(frame: pl.DataFrame, spread: Spread, by: Sequence[str]) -> Mapping[tuple[object, ...], float]:
    others = [column for column in by if column != spread.part]
    totals = _totals(frame, spread.sum, [spread.across, *others])
    wholes = {group: total.value for group, total in totals.items() if total.value and total.value > 0}
    known = Counter(group[1:] for group in wholes)
    shares: dict[tuple[object, ...], list[float]] = {}  # by the others and the part
    for group, total in _totals(frame, spread.sum, [spread.across, *others, spread.part]).items():
        if group[:-1] in wholes:
            shares.setdefault(group[1:], []).append((total.value or 0.0) / wholes[group[:-1]])
    found: dict[tuple[object, ...], float] = {}
    for names, held in shares.items():
        smallest = min(held) if len(held) == known[names[:-1]] else min([*held, 0.0])  # no row is no share
        value_of = dict(zip([*others, spread.part], names, strict=True))
        group = tuple(value_of[column] for column in by)
        found[group] = max(found.get(group, 0.0), max(held) - smallest)
    return found


def _grouped(
    frame: pl.DataFrame, by: Sequence[str], columns: Sequence[pl.Expr]
) -> list[tuple[tuple[object, ...], dict[str, float]]]:
    if frame.is_empty():
        return []
    # Keep the order of the rows: fractions that are summed in another order differ in their last digit.
    found = frame.group_by(by, maintain_order=True).agg(columns) if by else frame.select(columns)
    return [
        (tuple(row[column] for column in by), {name: row[name] for name in row if name not in by})
        for row in found.to_dicts()
    ]
