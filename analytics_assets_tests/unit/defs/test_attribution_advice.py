"""Advice: each rule by hand, and no number in a sentence that is not in its row."""

import math
import re
from collections.abc import Iterable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_assets.defs.attribution import advice
from analytics_assets.defs.attribution.advice import (
    COLUMNS,
    FEWEST_CONVERSIONS,
    FEWEST_WEEKS,
    LEAST_VARIATION,
    UNFINISHED_DAYS,
    Advice,
    as_markdown,
    recommendations,
    slope_with_interval,
)
from analytics_assets.partitions import Window
from analytics_assets.settings import PROJECT_DIR
from analytics_assets_tests.support.project import IN_FULL

FIRST = date(2026, 1, 5)  # a Monday
WEEKS = 12
DAYS = Window.of_days(FIRST, FIRST + timedelta(7 * WEEKS - 1))
LAST = max(DAYS.days())

ZERO = {"credited_conversions": 0.0, "credited_revenue": 0.0, "influenced_conversions": 0.0, "touchpoints": 0.0}
NAMES = ("channel", "campaign", "model", "event_date", *ZERO, "spend")


def row(channel: str, at: date = FIRST, campaign: str = "x", model: str | None = None, **numbers: float) -> dict:
    return {"channel": channel, "campaign": campaign, "model": model, "event_date": at, **ZERO, "spend": 0.0, **numbers}


def daily_of(*rows: dict) -> pl.DataFrame:
    schema = {name: pl.String for name in NAMES[:3]} | {"event_date": pl.Date} | dict.fromkeys(NAMES[4:], pl.Float64)
    return pl.DataFrame([[one[name] for name in NAMES] for one in rows], schema=schema, orient="row")


def credited(channel: str, model: str, share: float, conversions: float, revenue: float, **more: object) -> dict:
    return {
        "channel": channel,
        "model": model,
        "share": share,
        "credited_conversions": conversions,
        "conversions_low": conversions - 10.0,
        "conversions_high": conversions + 10.0,
        "credited_revenue": revenue,
        "revenue_low": revenue * 0.8,
        "revenue_high": revenue * 1.2,
        "supported_by": "no test supports this",
        "calibrated_conversions": None,
        "calibrated_low": None,
        "calibrated_high": None,
    } | more


CALIBRATED = ("calibrated_conversions", "calibrated_low", "calibrated_high")
MODELS = pl.DataFrame(
    [
        credited("tv", "linear", 0.25, 100, 300),
        credited("tv", "last_touch", 0.5, 200, 600),
        credited("email", "linear", 0.7, 280, 900),
        credited("email", "last_touch", 0.4, 160, 500),
        credited("unattributed", "linear", 0.05, 20, 0),
        credited("unattributed", "last_touch", 0.1, 40, 0),
    ],
    schema_overrides=dict.fromkeys(CALIBRATED, pl.Float64),
)
SPENT = {"tv": 200.0}
SPENT_ON_TV, CONVERTED = row("tv", spend=200), row("tv", influenced_conversions=99)


def only(found: Iterable[Advice]) -> Advice:
    (one,) = found
    return one


def test_the_models_disagreement_names_the_channel_and_both_models_the_largest_first() -> None:
    email, tv = advice.disagreement(MODELS, 400)
    assert (email.about, email.by_model, email.value) == ("email", "last_touch, linear", pytest.approx(0.3))
    assert tv.sentence == (
        "The models give tv between 25.0 % (linear) and 50.0 % (last_touch) of the conversions: 25.0 points apart."
    )
    assert (tv.low, tv.high, tv.unit) == (0.25, 0.5, "share")
    assert list(advice.disagreement(MODELS, FEWEST_CONVERSIONS - 1)) == [], "of too few conversions nothing is said"


def test_the_average_return_is_credited_revenue_over_spend_with_the_interval_of_the_revenue() -> None:
    every, by_linear, _, of_tv = advice.average_return(MODELS, SPENT, ["tv", "email"])
    assert (every.about, every.by_model, every.value) == ("", "last_touch", 3.0)
    assert (by_linear.value, by_linear.low, by_linear.high) == (1.5, pytest.approx(1.2), pytest.approx(1.8))
    assert of_tv.sentence == "By linear, tv returned 1.50 € for each euro spent (95 %: 1.20 € to 1.80 €)."


def test_of_several_channels_the_ends_of_the_intervals_are_added() -> None:
    every = next(advice.average_return(MODELS, {"tv": 200.0, "email": 100.0}, ["tv", "email"]))
    assert every.by_model == "linear", "which credits the most"
    assert (every.value, every.low, every.high) == (4.0, pytest.approx(3.2), pytest.approx(4.8))


def test_the_average_cost_is_spend_over_credited_conversions_and_its_interval_turns_around() -> None:
    *_, of_tv = advice.average_cost(MODELS, SPENT, ["tv"])
    assert (of_tv.by_model, of_tv.value) == ("linear", 2.0)
    assert (of_tv.low, of_tv.high) == (pytest.approx(200 / 110), pytest.approx(200 / 90))
    assert of_tv.sentence == "By linear, a conversion of tv cost 2.00 € (95 %: 1.82 € to 2.22 €)."
    few = pl.DataFrame([credited("tv", "linear", 1, 5, 1), credited("tv", "shapley", 0, 0, 0)])
    whole, of_tv = advice.average_cost(few, SPENT, ["tv"])
    assert (whole.high, of_tv.high) == (None, None)
    assert of_tv.sentence == "By linear, a conversion of tv cost 40.00 € (95 %: at least 13.33 €)."


@pytest.mark.parametrize("rule", [advice.average_return, advice.average_cost])
def test_of_a_channel_with_too_few_conversions_no_average_is_given(rule: object) -> None:
    assert list(rule(MODELS, SPENT, ["email"])) == []  # type: ignore[operator]


def test_spend_that_no_conversion_answers_is_named_with_the_reason() -> None:
    daily = daily_of(
        row("tv", campaign="idle", spend=7.5),
        row("tv", FIRST + timedelta(1), campaign="idle", spend=2.5),
        row("tv", campaign="loud", spend=30, touchpoints=4),
        row("tv", campaign="good", spend=5, touchpoints=4),
        row("tv", FIRST + timedelta(9), campaign="good", model="linear", credited_conversions=1),
        # In paths, and never the last touch of its channel.
        row("tv", campaign="opens", spend=9, touchpoints=4),
        row("tv", FIRST + timedelta(9), campaign="opens", model="linear", credited_conversions=0.5),
        row("email", campaign="free", touchpoints=4),
    )
    total, loud, idle = advice.unanswered_spend(daily)
    assert (total.value, loud.value, idle.value) == (40, 30, 10)
    assert total.sentence == "40.00 € were spent on campaigns that are in the path of no conversion."
    assert loud.sentence == "Campaign loud of tv cost 30.00 €, and none of its touches is in the path of a conversion."
    assert (idle.about, idle.sentence) == ("tv / idle", "Campaign idle of tv cost 10.00 €, and no touch names it.")
    answered = daily_of(row("tv", spend=1), row("tv", model="linear", credited_conversions=1))
    assert list(advice.unanswered_spend(answered)) == []


def test_the_spend_of_the_newest_days_is_unfinished() -> None:
    before = LAST - timedelta(UNFINISHED_DAYS)
    daily = daily_of(row("tv", before, spend=30), row("tv", before + timedelta(1), spend=5), row("tv", LAST, spend=5))
    found = only(advice.unfinished_spend(daily, DAYS))
    assert found.value == 0.25
    assert found.sentence == "25.0 % of the spend is of the newest 30 days: its return is unfinished."
    assert list(advice.unfinished_spend(daily_of(row("tv", before, spend=30)), DAYS)) == []
    assert list(advice.unfinished_spend(daily_of(row("tv")), DAYS)) == []


def test_where_the_data_are_too_thin_is_said_with_the_threshold() -> None:
    daily = daily_of(
        row("tv", spend=5, influenced_conversions=FEWEST_CONVERSIONS - 1),
        row("radio", spend=5, influenced_conversions=FEWEST_CONVERSIONS),
        row("email", influenced_conversions=1),  # costs nothing
        row("print", spend=1),
    )
    tv, of_print = advice.too_thin(daily)
    assert (tv.about, tv.value) == ("tv", 29)
    assert tv.sentence == "tv is in the paths of 29 conversions, fewer than 30: too few to say what it returns."
    assert of_print.value == 0


def by_week(spend: list[float], revenue: list[float], channel: str = "tv") -> pl.DataFrame:
    """Half of a week's spend and of its revenue on Monday, half on Sunday."""
    rows = []
    for week, (cost, brought) in enumerate(zip(spend, revenue, strict=True)):
        for day in (FIRST + timedelta(7 * week), FIRST + timedelta(7 * week + 6)):
            rows += [row(channel, day, spend=cost / 2), row(channel, day, model="last_touch", credited_revenue=99)]
            rows += [row(channel, day, model="linear", credited_revenue=brought / 2)]
    return daily_of(*rows)


SPEND = [10.0, 30.0, 20.0, 40.0, 10.0, 30.0, 20.0, 40.0, 10.0, 30.0, 20.0, 40.0]
NOISE = [1.0, -1.0, -1.0, 1.0, -1.0, 1.0, 1.0, -1.0, 0.5, -0.5, 0.5, -0.5]


def test_the_marginal_return_is_the_slope_over_whole_weeks() -> None:
    revenue = [5 + 0.5 * cost + away for cost, away in zip(SPEND, NOISE, strict=True)]
    found = only(advice.marginal_return(by_week(SPEND, revenue), DAYS, ["tv"]))
    slope, low, high = slope_with_interval(np.array(SPEND), np.array(revenue))
    assert (found.value, found.low, found.high) == (slope, low, high)
    assert found.value == pytest.approx(np.polyfit(SPEND, revenue, 1)[0])
    assert found.sentence.startswith(f"In weeks with one euro more on tv, {slope:.2f} € more were credited to it")
    assert "observational" in found.sentence


def test_weeks_that_are_cut_by_the_span_are_not_counted() -> None:
    cut = Window.of_days(FIRST + timedelta(1), LAST - timedelta(1))
    revenue = [2 * cost for cost in SPEND]
    revenue[0], revenue[-1] = 900, -900
    found = only(advice.marginal_return(by_week(SPEND, revenue), cut, ["tv"]))
    assert found.value == pytest.approx(2)


def test_the_interval_of_a_slope_is_students() -> None:
    """By hand: x = 0 … 7, residuals of 1 and -1; the quantile of six degrees of freedom is 2.4469."""
    x, away = np.arange(8.0), np.array([1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0])
    slope, low, high = slope_with_interval(x, 3 * x + away)
    assert slope == pytest.approx(3)
    assert high - slope == slope - low == pytest.approx(2.4469 * math.sqrt(8 / 6 / 42), rel=1e-3)


def test_95_percent_of_the_intervals_hold_the_slope() -> None:
    random, x, held = np.random.default_rng(1908), np.array(SPEND), 0
    for _ in range(1_000):
        _, low, high = slope_with_interval(x, 0.7 * x + random.normal(0, 9, len(x)))
        held += low <= 0.7 <= high
    assert 930 <= held <= 970


def test_there_is_no_marginal_return_where_spend_hardly_varied_or_weeks_are_few() -> None:
    steady = [100.0, 110.0] * 6
    found = only(advice.marginal_return(by_week(steady, SPEND), DAYS, ["tv"]))
    assert found.value == pytest.approx(5 / 105)
    assert found.sentence == (
        "What one euro more on tv would bring cannot be told: its weekly spend varied by 4.8 %, less than 20.0 %."
    )
    short = Window.of_days(FIRST, FIRST + timedelta(7 * FEWEST_WEEKS - 2))
    found = only(advice.marginal_return(by_week(SPEND, SPEND), short, ["tv"]))
    assert (found.value, found.unit) == (FEWEST_WEEKS - 1, "weeks")
    assert found.sentence == "What one euro more would bring cannot be told: 7 whole weeks are fewer than 8."
    assert list(advice.marginal_return(by_week(SPEND, SPEND), DAYS, [])) == [], "too few conversions"


def test_weeks_before_the_files_of_both_began_or_after_one_ended_are_no_weeks_of_nothing() -> None:
    late = by_week(SPEND[:9], [3 * cost for cost in SPEND[:9]]).with_columns(pl.col("event_date") + timedelta(21))
    assert only(advice.marginal_return(late, DAYS, ["tv"])).value == pytest.approx(3)
    without_newest = late.with_columns(
        credited_revenue=pl.when(pl.col("event_date") > LAST - timedelta(2)).then(0.0).otherwise("credited_revenue")
    )
    assert only(advice.marginal_return(without_newest, DAYS, ["tv"])).value == pytest.approx(3)
    few = by_week(SPEND[:3], SPEND[:3]).with_columns(pl.col("event_date") + timedelta(63))
    assert only(advice.marginal_return(few, DAYS, ["tv"])).value == 3
    assert only(advice.marginal_return(daily_of(row("tv", spend=5)), DAYS, ["tv"])).value == 0


def test_spend_is_unfinished_as_long_as_a_touch_has_a_part_in_a_conversion() -> None:
    variables = yaml.safe_load((PROJECT_DIR / "dbt_project" / "dbt_project.yml").read_text())["vars"]
    assert variables["touch_lookback_days"] == UNFINISHED_DAYS


def test_spend_that_no_test_supports_is_named() -> None:
    tested = MODELS.with_columns(
        supported_by=pl.when(pl.col("channel") == "tv").then(pl.lit("test")).otherwise("supported_by")
    )
    found = only(advice.tests(tested, {"tv": 200.0, "email": 1234.5, "radio": 9.0}, [], {"tv", "radio"}))
    assert found.about == "email"
    assert found.sentence == (
        "1,234.50 € were spent on email, and no test supports this: what it caused was never measured."
    )


def test_what_a_test_measured_is_told_with_its_interval() -> None:
    tested = MODELS.with_columns(
        pl.when(pl.col("channel") == "tv").then(pl.lit(number)).otherwise(None).alias(name)
        for name, number in zip(CALIBRATED, (50.0, 20.0, 80.0), strict=True)
    ).with_columns(supported_by=pl.lit("test of 2026-01-01 to 2026-01-14"))
    assert list(advice.tests(tested, {}, [], set())) == [], "of too few conversions nothing is said"
    found = only(advice.tests(tested, {}, ["tv"], set()))
    assert (found.about, found.value, found.low, found.high) == ("tv", 50, 20, 80)
    assert found.sentence == (
        "If tv still works as in the test of 2026-01-01 to 2026-01-14, it caused about 50 of these days' conversions, "
        "by the credit of linear (20 to 80 by the interval of the test)."
    )


def test_a_model_that_credits_nothing_has_no_share_to_disagree_by() -> None:
    silent = pl.concat([MODELS, MODELS.head(1).with_columns(share=None, model=pl.lit("markov_1"))])
    assert [*advice.disagreement(silent, 400)] == [*advice.disagreement(MODELS, 400)]


def test_of_nothing_nothing_is_said() -> None:
    found = recommendations(MODELS.clear(), daily_of(), DAYS)
    assert found.is_empty()
    assert tuple(found.columns) == COLUMNS


# ------------------------------------------------------------------------------------------------ all of it at once


CHANNELS = ("tv", "e-mail", "radio")
AMOUNTS = st.floats(0, 1e5, allow_nan=False).map(lambda amount: round(amount, 2))


@st.composite
def markets(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame, Window]:
    """Spend, touches and credit of some channels on some weeks, as models and days tell them."""
    rows, models = [], []
    weeks = draw(st.integers(1, WEEKS))
    for channel in draw(st.lists(st.sampled_from(CHANNELS), unique=True)):
        for week in range(weeks):
            at = FIRST + timedelta(7 * week + draw(st.integers(0, 6)))
            numbers = {"touchpoints": draw(st.integers(0, 9)), "influenced_conversions": draw(st.integers(0, 9))}
            rows += [row(channel, at, draw(st.sampled_from("xy")), spend=draw(AMOUNTS), **numbers)]
            rows += [row(channel, at, model="linear", credited_revenue=draw(AMOUNTS), credited_conversions=9)]
        for model in ("linear", "last_touch"):
            models.append(credited(channel, model, draw(st.floats(0, 1)), draw(st.integers(0, 99)), draw(AMOUNTS)))
    return (
        pl.DataFrame(models, schema=MODELS.schema),
        daily_of(*rows),
        Window.of_days(FIRST, FIRST + timedelta(7 * weeks - 1)),
    )


STATED = {"95", f"{FEWEST_CONVERSIONS}", f"{FEWEST_WEEKS}", f"{LEAST_VARIATION * 100:.1f}", f"{UNFINISHED_DAYS}"}
"""The numbers that the rules state."""


@settings(max_examples=200 if IN_FULL else 25, deadline=None)
@given(markets())
def test_each_sentence_has_the_numbers_of_its_row_and_none_is_without(
    market: tuple[pl.DataFrame, pl.DataFrame, Window],
) -> None:
    found = recommendations(*market)
    assert found["rank"].to_list() == sorted(found["rank"].to_list())
    assert found["sentence"].is_unique().all()
    for one in found.rows(named=True):
        cells = [one[name] for name in ("value", "low", "high") if one[name] is not None]
        assert all(math.isfinite(cell) for cell in cells)
        written = {form for cell in cells for form in (f"{cell:,.2f}", f"{cell * 100:.1f}", f"{cell:,.0f}")}
        numbers = re.findall(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?", one["sentence"])
        assert set(numbers) & written, one
        assert set(numbers) <= written | STATED, one


@settings(max_examples=200 if IN_FULL else 10, deadline=None)
@given(markets())
def test_the_same_rows_in_any_order_give_the_same_advice(market: tuple[pl.DataFrame, pl.DataFrame, Window]) -> None:
    models, daily, days = market
    assert recommendations(models.reverse(), daily.reverse(), days).equals(recommendations(models, daily, days))


def test_the_markdown_has_each_sentence_once_below_its_rule_and_no_name_is_markup() -> None:
    found = recommendations(MODELS, daily_of(row("[a](http://x) <b>_b_</b>\n# c", spend=5), row("tv", spend=7)), DAYS)
    text = as_markdown(found)
    assert text.count("\n## ") == found["rule"].n_unique()
    assert text.count("\n- ") == found.height
    assert r"\[a\](http://x) \<b\>\_b\_\</b\> # c" in text
    assert "By last_touch" in as_markdown(recommendations(MODELS, daily_of(SPENT_ON_TV, CONVERTED), DAYS))


@pytest.mark.parametrize("name, line", [("# a", r"- \# a is"), ("- a", r"- \- a is"), ("1. a", r"- 1\. a is")])
def test_no_name_begins_a_heading_or_a_list(name: str, line: str) -> None:
    assert line in as_markdown(recommendations(MODELS, daily_of(row(name, spend=5)), DAYS))
