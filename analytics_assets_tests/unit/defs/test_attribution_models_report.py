"""The report of all models of attribution, on rows worked out by hand, and beside a package that others use."""

from collections.abc import Mapping
from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mam import MAM

from analytics_assets.defs.attribution.intervals import Z
from analytics_assets.defs.attribution.markov import Chain
from analytics_assets.defs.attribution.models_report import (
    DAILY_MODELS,
    MODELS_REPORT,
    NO_TEST,
    PATH_MODELS,
    Credit,
    compute,
    credits_of,
    lift_tests,
)
from analytics_assets.defs.attribution.paths import Paths, linear_shares
from analytics_assets.partitions import Window

DAYS = Window.of_days(date(2026, 1, 1), date(2026, 3, 31))

NO_TESTS = pl.DataFrame(
    schema={
        "channel": pl.String,
        "first_day": pl.Date,
        "last_day": pl.Date,
        "incremental_conversions": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
    }
)


def daily(*rows: tuple[date, str, float, float]) -> pl.DataFrame:
    """Rows of attribution_daily: each model by a rule credits the same conversions and revenue."""
    return pl.DataFrame(
        [
            (day, channel, model, conversions, conversions / 2, revenue, revenue * 10)
            for day, channel, conversions, revenue in rows
            for model in (*DAILY_MODELS, None)
        ],
        schema={
            "event_date": pl.Date,
            "channel": pl.String,
            "model": pl.String,
            "credited_conversions": pl.Float64,
            "credited_conversions_variance": pl.Float64,
            "credited_revenue": pl.Float64,
            "credited_revenue_variance": pl.Float64,
        },
        orient="row",
    )


def path_rows(counts: Mapping[str, tuple[int, int]]) -> pl.DataFrame:
    rows = [
        (path, is_converting, count)
        for path, of_path in counts.items()
        for is_converting, count in zip((True, False), of_path, strict=True)
        if count
    ]
    schema = {"path": pl.String, "is_converting": pl.Boolean, "paths": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


class Rows:
    """What is published: rows of days, and paths by the span that they are asked for."""

    def __init__(self, of_days: pl.DataFrame, paths: Mapping[Window, pl.DataFrame], tests: pl.DataFrame = NO_TESTS):
        self.days, self._daily, self._paths, self._tests = DAYS, of_days, paths, tests

    def rows(self, name: str, days: Window | None = None) -> pl.DataFrame:
        days = days or self.days
        if name == "attribution_daily":
            return self._daily.filter((pl.col("event_date") >= days.start) & (pl.col("event_date") < days.end))
        return self._paths[days] if name == "rpt_paths" else self._tests


JANUARY = Window.of_days(date(2026, 1, 1), date(2026, 1, 31))

OF_DAYS = daily(
    (date(2026, 1, 1), "email", 0.0, 0.0),
    (date(2026, 1, 5), "email", 3.0, 30.0),
    (date(2026, 1, 31), "email", 0.0, 0.0),
    (date(2026, 2, 5), "email", 1.0, -10.0),
    (date(2026, 2, 5), "tv", 4.0, 60.0),
    (date(2026, 3, 5), "unattributed", 2.0, 20.0),
)
PATHS = path_rows({"email": (2, 6), "tv": (2, 2), "tv > email": (4, 4), "unattributed": (2, 0)})
OF_JANUARY = path_rows({"email": (3, 7)})


def made(tests: pl.DataFrame = NO_TESTS) -> pl.DataFrame:
    return MODELS_REPORT.checked(compute(Rows(OF_DAYS, {DAYS: PATHS, JANUARY: OF_JANUARY}, tests)))


def row(table: pl.DataFrame, model: str, channel: str) -> dict:
    return table.row(by_predicate=(pl.col("model") == model) & (pl.col("channel") == channel), named=True)


def test_each_model_has_a_row_of_each_channel_and_divides_all_conversions_and_revenue() -> None:
    table = made()
    models = [*DAILY_MODELS, *PATH_MODELS]
    assert table["model"].unique(maintain_order=True).to_list() == models
    assert table.height == 3 * len(models)
    sums = table.group_by("model").agg(pl.col("share", "credited_conversions", "credited_revenue").sum())
    for model, share, conversions, revenue in sums.rows():
        assert (share, conversions, revenue) == pytest.approx((1, 10, 100)), model
    assert set(table["supported_by"]) == {NO_TEST}
    assert table["calibrated_conversions"].null_count() == table.height


def test_a_model_by_a_rule_has_its_sums_and_their_intervals() -> None:
    assert row(made(), "linear", "email") == {
        "model": "linear",
        "channel": "email",
        "supported_by": NO_TEST,
        "share": 0.4,
        "credited_conversions": 4.0,
        "conversions_low": pytest.approx(4 - Z * 2**0.5),
        "conversions_high": pytest.approx(4 + Z * 2**0.5),
        "credited_revenue": 20.0,
        "revenue_low": 0.0,  # 20 - 1.96 × √200 is below
        "revenue_high": pytest.approx(20 + Z * 200**0.5),
        "calibration_factor": None,
        "calibrated_conversions": None,
        "calibrated_low": None,
        "calibrated_high": None,
    }


def test_a_model_over_all_paths_divides_what_touches_led_to() -> None:
    """Of 20 paths 8 begin with email and 12 with tv. From tv 2/12 convert, 2/12 do not, 8/12 go on to email."""
    table = made()
    email = 6 / 16  # of 16 at email, whose 8 come from tv
    whole = 8 / 20 * email + 12 / 20 * (2 / 12 + 8 / 12 * email)
    effects = {"email": 1 - 12 / 20 * 2 / 12 / whole, "tv": 1 - 8 / 20 * email / whole}
    for channel, effect in effects.items():
        found = row(table, "markov_1", channel)
        conversions = 8 * effect / sum(effects.values())
        assert found["credited_conversions"] == pytest.approx(conversions)
        assert found["credited_revenue"] == pytest.approx(conversions / 8 * 80)
        assert found["conversions_low"] < conversions < found["conversions_high"]
        assert found["revenue_low"] == pytest.approx(found["conversions_low"] * 10)
    unattributed = row(table, "markov_1", "unattributed")
    assert (unattributed["credited_conversions"], unattributed["credited_revenue"]) == (2, 20)


def test_a_test_calibrates_each_model_by_what_it_credits_in_the_days_of_the_test() -> None:
    tests = pl.DataFrame(
        [
            ("email", date(2026, 1, 1), date(2026, 1, 15), 9.0, 9.0, 9.0),  # an older one
            ("email", date(2026, 1, 1), date(2026, 1, 31), 1.5, 0.9, 2.4),
            ("tv", date(2026, 1, 1), date(2026, 1, 31), 1.0, 0.0, 2.0),  # no model credits it anything in January
            ("radio", date(2026, 3, 1), date(2026, 4, 1), 1.0, 0.0, 2.0),  # not over yet
        ],
        schema=NO_TESTS.schema,
        orient="row",
    )
    table = made(tests)
    for model in (*DAILY_MODELS, *PATH_MODELS):
        email = row(table, model, "email")
        assert email["supported_by"] == "test of 2026-01-01 to 2026-01-31"
        assert email["calibration_factor"] == pytest.approx(0.5), "1.5 incremental of 3 credited"
        for column, factor in (("conversions", 0.5), ("low", 0.3), ("high", 0.8)):
            assert email[f"calibrated_{column}"] == pytest.approx(email["credited_conversions"] * factor)
        tv = row(table, model, "tv")
        assert tv["supported_by"] == "test of 2026-01-01 to 2026-01-31, in which it credits nothing"
        assert (tv["calibration_factor"], tv["calibrated_conversions"]) == (None, None)
        assert row(table, model, "unattributed")["supported_by"] == NO_TEST
    assert lift_tests(tests, date(2026, 4, 1)).keys() == {"email", "tv", "radio"}


def test_a_test_whose_days_are_not_all_known_calibrates_nothing() -> None:
    """What it measured over all of its days would be divided by what was credited in some of them."""
    days = [("email", date(2025, 12, 20), date(2026, 1, 5), 9.0, 9.0, 9.0)]
    email = row(made(pl.DataFrame(days, schema=NO_TESTS.schema, orient="row")), "linear", "email")
    assert email["supported_by"] == "test of 2025-12-20 to 2026-01-05, whose days are not all known"
    assert (email["calibration_factor"], email["calibrated_conversions"]) == (None, None)


def test_without_any_row_there_is_no_table() -> None:
    assert compute(Rows(daily(), {DAYS: path_rows({})})).is_empty()


def test_revenue_of_conversions_before_the_days_is_of_no_path() -> None:
    of_days = daily((date(2026, 1, 5), "email", 0.0, 30.0))
    found = credits_of(of_days, path_rows({"email": (0, 5)}))
    assert found["linear"]["email"].revenue[0] == 30
    assert found["markov_1"] == {"email": Credit(), "unattributed": Credit(revenue=(30.0, 30.0, 30.0))}


# -------------------------------------------------------------------------------------------------- a second opinion

COUNTS = st.dictionaries(
    st.lists(st.sampled_from(("email", "tv", "radio", "web")), min_size=1, max_size=5).map(" > ".join),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    min_size=1,
    max_size=8,
).filter(lambda counts: sum(converting for converting, _ in counts.values()) > 0)


def others_opinion(counts: Mapping[str, tuple[int, int]]) -> MAM:
    """Paths that lead to nothing are given as such: by default, that package would not know them from others."""
    return MAM(
        path_rows(counts),
        format_type="grouped_journey",
        channels_colname="path",
        journey_with_conv_colname="is_converting",
        occurrences_colname="paths",
    )


@pytest.mark.parametrize("with_repeats", [True, False])
@given(counts=COUNTS)
def test_another_package_finds_the_same_removal_effects(counts: Mapping, with_repeats: bool) -> None:
    """A repeat is a step of the chain to where it is: it changes no chance, whether it counts or not."""
    paths = Paths.in_rows(path_rows(counts))
    theirs = others_opinion(counts).run_markov(transition_to_same_state=with_repeats).metadata["removal_effect"]
    ours = dict(zip(paths.channels, Chain(paths, 1).removal_effects(paths), strict=True))
    assert ours == pytest.approx(theirs["removal_effect"].to_dict(), abs=1e-9)


@given(counts=COUNTS)
def test_another_package_finds_the_same_linear_shares(counts: Mapping) -> None:
    paths = Paths.in_rows(path_rows(counts))
    found = others_opinion(counts).run_linear().to_polars()
    theirs = dict(found.select(pl.col("channels").cast(pl.String), "attribution").rows())
    ours = dict(zip(paths.channels, linear_shares(paths) * paths.conversions, strict=True))
    assert ours == pytest.approx({channel: theirs.get(channel, 0.0) for channel in ours}, abs=1e-9)
