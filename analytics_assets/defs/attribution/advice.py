"""Advice on channels: sentences with numbers, each by a rule that docs/attribution.md states.

The rules are pure functions on the rows of `attribution_models_report` and `attribution_daily`. None of them speaks
without a number behind it, and where the data are too thin for one, that is what it says.
"""

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from analytics_assets.defs.attribution.intervals import Z
from analytics_assets.defs.attribution.models_report import MODELS_REPORT, NO_TEST, lift_tests
from analytics_assets.defs.attribution.paths import UNATTRIBUTED
from analytics_assets.foundation.plain_text import in_markdown
from analytics_assets.partitions import Window
from analytics_assets.spec.analysis import Analysis, Column, Published

FEWEST_CONVERSIONS = 30
"""Conversions with a touch of a channel; with fewer of them, no figure of the channel is given."""

FEWEST_WEEKS = 8
"""Whole weeks for a marginal return: a line through fewer points says little, and its interval nothing."""

LEAST_VARIATION = 0.2
"""Coefficient of variation of a channel's weekly spend; below it, nobody has seen what more spend would bring."""

UNFINISHED_DAYS = 30
"""The newest days, whose spend has not yet brought all that it will: as long as a touch has a part in a conversion."""

MARGINAL_MODEL = "linear"
"""The model whose credit the marginal return and the tests are told by."""


@dataclass(frozen=True)
class Advice:
    """A sentence, and the numbers that it is made of.

    Attributes:
        rule: the rule that it follows from, in words.
        about: the channel that it is about, as `channel` or `channel / campaign`; empty for all of them.
        by_model: the model, or models, that it is by.
        unit: of the numbers: `share`, `€`, `€ for 1 €`, `conversions`, `weeks`, `ratio`.
    """

    rule: str
    about: str
    by_model: str
    value: float
    low: float | None
    high: float | None
    unit: str
    sentence: str


COLUMNS = ("rank", *(field.name for field in fields(Advice)))


def recommendations(
    models: pl.DataFrame, daily: pl.DataFrame, days: Window, tested: Set[str] = frozenset()
) -> pl.DataFrame:
    """All advice, the most important first; ranks are texts, so that they sort as they count.

    Args:
        models: `attribution_models_report` as of the last of the days.
        daily: the rows of `attribution_daily` on the days, numbers as floats.
        tested: the channels of which a lift test was over by then.
    """
    # In one order: sums of fractions differ by it in their last digit.
    models, daily = models.sort("channel", "model"), daily.sort("event_date", "channel", "campaign", "model")
    spend = _spend_by_channel(daily)
    enough = _with_enough_conversions(daily)
    found = [
        *disagreement(models, _conversions(daily)),
        *average_return(models, spend, enough),
        *average_cost(models, spend, enough),
        *unanswered_spend(daily),
        *unfinished_spend(daily, days),
        *too_thin(daily),
        *marginal_return(daily, days, enough),
        *tests(models, spend, enough, tested),
    ]
    width = len(str(len(found)))
    rows = [(f"{rank:0{width}}", *_cells(advice)) for rank, advice in enumerate(found, start=1)]
    numbers = {"value", "low", "high"}
    schema = {name: pl.Float64 if name in numbers else pl.String for name in COLUMNS}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _cells(advice: Advice) -> tuple[object, ...]:
    return tuple(getattr(advice, field.name) for field in fields(Advice))


# ------------------------------------------------------------------------------------------------------- the rules


def disagreement(models: pl.DataFrame, conversions: float) -> Iterator[Advice]:
    """The channels on whose share of the conversions the models are farthest apart, the farthest first."""
    if conversions < FEWEST_CONVERSIONS:
        return
    apart = []
    for (channel,), rows in models.drop_nulls("share").group_by("channel", maintain_order=True):
        if channel != UNATTRIBUTED:
            rows = rows.sort("share", "model")
            least, most = rows.row(0, named=True), rows.row(-1, named=True)
            apart.append((most["share"] - least["share"], str(channel), least, most))
    for spread, channel, least, most in sorted(apart, key=lambda one: (-one[0], one[1])):
        yield Advice(
            "How far the models are apart",
            channel,
            f"{least['model']}, {most['model']}",
            spread,
            least["share"],
            most["share"],
            "share",
            f"The models give {channel} between {_share(least['share'])} ({least['model']}) and "
            f"{_share(most['share'])} ({most['model']}) of the conversions: {_points(spread)} apart.",
        )


def average_return(models: pl.DataFrame, spend: Mapping[str, float], enough: Sequence[str]) -> Iterator[Advice]:
    """Credited revenue for each euro of spend of the same days.

    Of all paid channels together by each model, and of each by the model that credits it most and the one that credits
    it least.
    """
    for about, cost, row in _costs(models, spend, enough, "credited_revenue"):
        value, low, high = (row[column] / cost for column in ("credited_revenue", "revenue_low", "revenue_high"))
        yield Advice(
            "What a euro of spend returned on average (ROAS)",
            about,
            row["model"],
            value,
            low,
            high,
            "€ for 1 €",
            f"By {row['model']}, {about or 'all paid channels together'} returned {_money(value)} for each euro "
            f"spent (95 %: {_money(low)} to {_money(high)}).",
        )


def average_cost(models: pl.DataFrame, spend: Mapping[str, float], enough: Sequence[str]) -> Iterator[Advice]:
    """Spend for each credited conversion of the same days; of what and by which models as the return."""
    for about, cost, row in _costs(models, spend, enough, "credited_conversions"):
        value, low = cost / row["credited_conversions"], cost / row["conversions_high"]
        high = cost / row["conversions_low"] if row["conversions_low"] > 0 else None
        said = f"{_money(low)} to {_money(high)}" if high is not None else f"at least {_money(low)}"
        yield Advice(
            "What a conversion cost on average (CAC)",
            about,
            row["model"],
            value,
            low,
            high,
            "€",
            f"By {row['model']}, a conversion of {about or 'all paid channels together'} cost {_money(value)} "
            f"(95 %: {said}).",
        )


def _costs(
    models: pl.DataFrame, spend: Mapping[str, float], enough: Sequence[str], by: str
) -> Iterator[tuple[str, float, dict[str, Any]]]:
    """Spend and credit by model: of all paid channels together, then of each with enough conversions.

    The model with most of a column comes first, that with the least second; of a single channel no other comes. A
    model that credits nothing does not count.

    The ends of a sum's interval are the sums of the ends: whatever the channels have to do with each other, it is no
    narrower than the true one.
    """
    paid = models.filter(pl.col("channel").is_in(list(spend)) & (pl.col("credited_conversions") > 0))
    numbers = [f"credited_{what}" for what in ("conversions", "revenue")]
    numbers += [f"{what}_{end}" for what in ("conversions", "revenue") for end in ("low", "high")]
    together = paid.group_by("model", maintain_order=True).agg(pl.col(numbers).sum())
    channels = [channel for channel in spend if channel in enough]
    if channels:
        yield from (("", sum(spend.values()), row) for row in _ends_first(together, by))
    for channel in channels:
        ends = _ends_first(paid.filter(pl.col("channel") == channel), by)[:2]
        yield from ((channel, spend[channel], row) for row in ends)


def _ends_first(rows: pl.DataFrame, by: str) -> list[dict[str, Any]]:
    """The model that credits most, the one that credits least, and those between."""
    in_order = rows.sort(by, "model", descending=[True, False]).rows(named=True)
    return [*in_order[:1], *in_order[1:][-1:], *in_order[1:-1]]


def unanswered_spend(daily: pl.DataFrame) -> Iterator[Advice]:
    """Campaigns that cost something and are in no conversion's path, the dearest first.

    In a path, each touch has a part of the conversion by MARGINAL_MODEL. As influenced, a conversion counts for the
    campaign of its channel's last touch alone.
    """
    rule = "Spend that no conversion answers"
    of_paths = pl.col("credited_conversions").filter(pl.col("model") == MARGINAL_MODEL).sum()
    sums = daily.group_by("channel", "campaign").agg(pl.col("spend", "touchpoints").sum(), of_paths)
    unanswered = sums.filter((pl.col("spend") > 0) & (pl.col("credited_conversions") == 0))
    if unanswered.is_empty():
        return
    total = _sum(unanswered, "spend")
    sentence = f"{_money(total)} were spent on campaigns that are in the path of no conversion."
    yield Advice(rule, "", "", total, None, None, "€", sentence)
    for row in unanswered.sort("spend", "channel", "campaign", descending=[True, False, False]).rows(named=True):
        why = "none of its touches is in the path of a conversion" if row["touchpoints"] else "no touch names it"
        yield Advice(
            rule,
            f"{row['channel']} / {row['campaign']}",
            "",
            row["spend"],
            None,
            None,
            "€",
            f"Campaign {row['campaign']} of {row['channel']} cost {_money(row['spend'])}, and {why}.",
        )


def unfinished_spend(daily: pl.DataFrame, days: Window) -> Iterator[Advice]:
    """How much of the spend is of the newest days, whose revenue is still to come."""
    total = _sum(daily, "spend")
    newest = _sum(daily.filter(pl.col("event_date") > max(days.days()) - timedelta(UNFINISHED_DAYS)), "spend")
    if total > 0 and newest > 0:
        yield Advice(
            "Spend whose return is unfinished",
            "",
            "",
            newest / total,
            None,
            None,
            "share",
            f"{_share(newest / total)} of the spend is of the newest {UNFINISHED_DAYS} days: its return is unfinished.",
        )


def too_thin(daily: pl.DataFrame) -> Iterator[Advice]:
    """Paid channels with too few conversions for any figure of their own."""
    influenced = _influenced(daily)
    for channel in _spend_by_channel(daily):
        if (conversions := influenced.get(channel, 0.0)) < FEWEST_CONVERSIONS:
            yield Advice(
                "Where the data are too thin to say",
                channel,
                "",
                conversions,
                None,
                None,
                "conversions",
                f"{channel} is in the paths of {_count(conversions)} conversions, fewer than {FEWEST_CONVERSIONS}: too "
                "few to say what it returns.",
            )


def marginal_return(daily: pl.DataFrame, days: Window, enough: Sequence[str]) -> Iterator[Advice]:
    """What a euro more went along with: the slope of weekly credited revenue on weekly spend, where spend varied."""
    rule = "What one euro more went along with (marginal ROAS)"
    weeks = _whole_weeks(_days_of_both(daily, days))
    channels = [channel for channel in _spend_by_channel(daily) if channel in enough]
    if channels and len(weeks) < FEWEST_WEEKS:
        yield Advice(
            rule,
            "",
            "",
            float(len(weeks)),
            None,
            None,
            "weeks",
            f"What one euro more would bring cannot be told: {len(weeks)} whole weeks are fewer than {FEWEST_WEEKS}.",
        )
        return
    for channel in channels:
        spend, revenue = _by_week(daily, channel, weeks)
        variation = float(np.std(spend) / np.mean(spend)) if spend.any() else 0.0
        if variation < LEAST_VARIATION:
            yield Advice(
                rule,
                channel,
                "",
                variation,
                None,
                None,
                "ratio",
                f"What one euro more on {channel} would bring cannot be told: its weekly spend varied by "
                f"{_share(variation)}, less than {_share(LEAST_VARIATION)}.",
            )
            continue
        slope, low, high = slope_with_interval(spend, revenue)
        yield Advice(
            rule,
            channel,
            MARGINAL_MODEL,
            slope,
            low,
            high,
            "€ for 1 €",
            f"In weeks with one euro more on {channel}, {_money(slope)} more were credited to it by {MARGINAL_MODEL} "
            f"(95 %: {_money(low)} to {_money(high)}). That is observational: no cause is shown.",
        )


def tests(
    models: pl.DataFrame, spend: Mapping[str, float], enough: Sequence[str], tested: Set[str]
) -> Iterator[Advice]:
    """What lift tests make of the credit, then the paid channels of which there is none, the dearest first."""
    calibrated = models.filter(pl.col("model") == MARGINAL_MODEL).drop_nulls("calibrated_conversions")
    for row in calibrated.filter(pl.col("channel").is_in(list(enough))).rows(named=True):
        value, low, high = (row[f"calibrated_{name}"] for name in ("conversions", "low", "high"))
        yield Advice(
            "What a test supports",
            row["channel"],
            MARGINAL_MODEL,
            value,
            low,
            high,
            "conversions",
            f"If {row['channel']} still works as in the {row['supported_by']}, it caused about {_count(value)} of "
            f"these days' conversions, by the credit of {MARGINAL_MODEL} ({_count(low)} to {_count(high)} by the "
            "interval of the test).",
        )
    for channel, cost in spend.items():
        if channel not in tested:
            yield Advice(
                "What no test supports",
                channel,
                "",
                cost,
                None,
                None,
                "€",
                f"{_money(cost)} were spent on {channel}, and {NO_TEST}: what it caused was never measured.",
            )


# ----------------------------------------------------------------------------------------------------- the figures


def slope_with_interval(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """The slope of the line of least squares, with its 95 % interval by Student's t.

    The quantile of t by Abramowitz and Stegun 26.7.5, which is right to three digits from six degrees of freedom on.
    """
    freedom = len(x) - 2
    away = x - x.mean()
    slope = float(away @ (y - y.mean()) / (away @ away))
    rest = y - y.mean() - slope * away
    error = math.sqrt(float(rest @ rest) / freedom / float(away @ away))
    terms = (
        Z,
        (Z**3 + Z) / 4,
        (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96,
        (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384,
    )
    quantile = sum(term / freedom**power for power, term in enumerate(terms))
    return slope, slope - quantile * error, slope + quantile * error


def _spend_by_channel(daily: pl.DataFrame) -> dict[str, float]:
    """The spend of each channel that cost something, the dearest first."""
    sums = daily.group_by("channel").agg(pl.col("spend").sum()).filter(pl.col("spend") > 0)
    return dict(sums.sort("spend", "channel", descending=[True, False]).rows())


def _influenced(daily: pl.DataFrame) -> dict[str, float]:
    """By channel, the conversions that have a touch of it in their path."""
    return dict(daily.group_by("channel").agg(pl.col("influenced_conversions").sum()).rows())


def _with_enough_conversions(daily: pl.DataFrame) -> list[str]:
    return [channel for channel, conversions in _influenced(daily).items() if conversions >= FEWEST_CONVERSIONS]


def _conversions(daily: pl.DataFrame) -> float:
    """All conversions, which each model divides in whole."""
    return _sum(daily.filter(pl.col("model") == MARGINAL_MODEL), "credited_conversions")


def _days_of_both(daily: pl.DataFrame, days: Window) -> Window | None:
    """The days from the first to the last on which both spend and credited revenue are known; None without any.

    Before files began, and where the files of one end earlier than those of the other, nothing is not zero.
    """
    rows = daily.filter(pl.col("event_date").is_between(days.start, days.end, closed="left"))
    of_spend = rows.filter(pl.col("spend") > 0)["event_date"].to_list()
    of_revenue = rows.filter((pl.col("model") == MARGINAL_MODEL) & (pl.col("credited_revenue") != 0))["event_date"]
    if not of_spend or of_revenue.is_empty():
        return None
    first = max(min(of_spend), min(of_revenue.to_list()))
    last = min(max(of_spend), max(of_revenue.to_list()))
    return Window.of_days(first, last) if first <= last else None


def _whole_weeks(days: Window | None) -> list[Window]:
    """The weeks from Monday to Sunday that lie within the days."""
    if days is None:
        return []
    weeks = [Window.of_days(day, day + timedelta(6)) for day in days.days() if day.weekday() == 0]
    return [week for week in weeks if week.end <= days.end]


def _by_week(daily: pl.DataFrame, channel: str, weeks: Sequence[Window]) -> tuple[np.ndarray, np.ndarray]:
    """The spend of a channel, and the revenue that is credited to it, in each week."""
    rows = daily.filter(pl.col("channel") == channel)
    of_week = [rows.filter(pl.col("event_date").is_between(week.start, week.end, closed="left")) for week in weeks]
    credited = [week.filter(pl.col("model") == MARGINAL_MODEL) for week in of_week]
    return (
        np.array([_sum(week, "spend") for week in of_week]),
        np.array([_sum(week, "credited_revenue") for week in credited]),
    )


def _sum(frame: pl.DataFrame, column: str) -> float:
    return float(frame.select(pl.col(column).sum()).item())


# ------------------------------------------------------------------------------------------------------- the texts


def _money(value: float) -> str:
    return f"{value:,.2f} €"


def _share(value: float) -> str:
    return f"{value * 100:.1f} %"


def _points(value: float) -> str:
    return f"{value * 100:.1f} points"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def as_markdown(advice: pl.DataFrame) -> str:
    """The sentences below the rules that they follow from, as a Markdown file."""
    lines = ["# Recommendations on marketing channels", ""]
    for (rule,), rows in advice.group_by("rule", maintain_order=True):
        lines += [f"## {in_markdown(str(rule))}", "", *(f"- {in_markdown(text)}" for text in rows["sentence"]), ""]
    return "\n".join(lines)


def _of_published(published: Published) -> pl.DataFrame:
    tested = lift_tests(published.rows("lookup_lift_tests"), max(published.days.days()))
    models, daily = published.rows(MODELS_REPORT.name), published.rows("attribution_daily")
    return recommendations(models, daily, published.days, tested.keys())


STRATEGIC_RECOMMENDATIONS = Analysis(
    name="strategic_recommendations",
    title="Recommendations on marketing channels",
    description="What the figures of attribution mean, in sentences with numbers, and where they are too thin to say.",
    days=90,
    columns={
        "rank": Column.TEXT,
        "rule": Column.TEXT,
        "about": Column.TEXT,
        "by_model": Column.TEXT,
        "value": Column.NUMBER,
        "low": Column.NUMBER,
        "high": Column.NUMBER,
        "unit": Column.TEXT,
        "sentence": Column.TEXT,
    },
    reads=(MODELS_REPORT.name, "attribution_daily", "lookup_lift_tests"),
    compute=_of_published,
    text=as_markdown,
)
