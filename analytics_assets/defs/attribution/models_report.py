"""All models of attribution side by side, as of a day: what each credits, how sure that is, and what a test says of it.

The eight models by a rule are summed from `attribution_daily`. Those that look at all paths are fitted to `rpt_paths`:
Markov chains of order 1, 2 and 3, and the comparison of sets of channels. All three orders are shown, since it is a
finding whether they agree. Where they do, the order of touches hardly matters; where they do not, it does, or the paths
are too few.

A path model divides the conversions that touches led to; those without a touch stay unattributed. The revenue is
divided by the same shares: the chain knows conversions, not amounts.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from analytics_assets.defs.attribution.counterfactual import Sets
from analytics_assets.defs.attribution.intervals import interval_of_sum, resampled
from analytics_assets.defs.attribution.markov import Chain
from analytics_assets.defs.attribution.paths import UNATTRIBUTED, Numbers, Paths
from analytics_assets.partitions import Window
from analytics_assets.spec.analysis import Analysis, Column, Published

DAILY_MODELS = (
    "first_touch", "last_touch", "last_non_direct", "linear", "position_based", "time_decay", "w_shaped", "shapley",
)  # fmt: skip
"""Those of `attribution_daily`, in the order of dbt's macro `attribution_models`."""

Shares = Callable[[Paths], Numbers]

PATH_MODELS: Mapping[str, Callable[[Paths], Shares]] = {
    "markov_1": lambda paths: Chain(paths, 1).shares,
    "markov_2": lambda paths: Chain(paths, 2).shares,
    "markov_3": lambda paths: Chain(paths, 3).shares,
    "counterfactual": lambda paths: Sets(paths).shares,
}
"""By name, what gives the shares of the channels of some paths."""

NO_TEST = "no test supports this"


@dataclass(frozen=True)
class Credit:
    """What a model credits to a channel: a value, and the ends of its 95 % interval."""

    conversions: tuple[float, float, float] = (0.0, 0.0, 0.0)
    revenue: tuple[float, float, float] = (0.0, 0.0, 0.0)


Credits = dict[str, dict[str, Credit]]
"""By model and channel."""


@dataclass(frozen=True)
class LiftTest:
    """What an experiment has measured: conversions of its days that there would not have been without the channel."""

    channel: str
    first_day: date
    last_day: date
    incremental: tuple[float, float, float]

    @property
    def days(self) -> Window:
        """Its days."""
        return Window.of_days(self.first_day, self.last_day)

    @property
    def said(self) -> str:
        """The test in words."""
        return f"test of {self.first_day} to {self.last_day}"


def credits_of(daily: pl.DataFrame, path_rows: pl.DataFrame, *, with_intervals: bool = True) -> Credits:
    """What all models credit.

    Args:
        daily: rows of `attribution_daily`.
        path_rows: what `rpt_paths` returns for the same days.
        with_intervals: whether the ends of the intervals are found; else they are the values.
    """
    by_rule = _of_daily_models(daily)
    unattributed = path_rows.filter((pl.col("path") == UNATTRIBUTED) & pl.col("is_converting"))["paths"].sum()
    paths = Paths.in_rows(path_rows)
    # Each model by a rule divides the same revenue.
    revenue = {channel: credit.revenue for channel, credit in by_rule.get(DAILY_MODELS[0], {}).items()}
    whole = sum(value for value, _, _ in revenue.values())
    attributed = whole - revenue.get(UNATTRIBUTED, (0.0, 0.0, 0.0))[0]
    found = dict(by_rule)
    for model, fitted in PATH_MODELS.items() if by_rule or paths.paths else ():
        of_model = _of_path_model(paths, fitted(paths), attributed, with_intervals=with_intervals)
        rest = whole - sum(credit.revenue[0] for credit in of_model.values())
        # Where nothing converted in these days, what earlier conversions brought is of no channel.
        held = by_rule.get(DAILY_MODELS[0], {}).get(UNATTRIBUTED, Credit())
        low, high = interval_of_sum(float(unattributed), float(unattributed))
        amounts = held.revenue if paths.conversions else (rest, rest, rest)
        if unattributed or any(amounts):
            of_model[UNATTRIBUTED] = Credit((float(unattributed), low, high), amounts)
        found[model] = of_model
    return found


def _of_daily_models(daily: pl.DataFrame) -> Credits:
    columns = ("credited_conversions", "credited_conversions_variance", "credited_revenue", "credited_revenue_variance")
    rows = daily.drop_nulls("model").group_by("model", "channel", maintain_order=True).agg(pl.col(columns).sum())
    found: Credits = {model: {} for model in DAILY_MODELS if model in rows["model"]}
    for model, channel, conversions, squares, revenue, revenue_squares in rows.select(
        "model", "channel", *columns
    ).rows():
        found[model][channel] = Credit(
            (conversions, *interval_of_sum(conversions, squares)), (revenue, *interval_of_sum(revenue, revenue_squares))
        )
    return found


def _of_path_model(paths: Paths, shares: Shares, revenue: float, *, with_intervals: bool) -> dict[str, Credit]:
    values = shares(paths) * paths.conversions
    low, high = resampled(paths, shares) if with_intervals else (values, values)
    found = {}
    for channel, *ends in zip(paths.channels, values, low, high, strict=True):
        conversions = tuple(map(float, ends))
        # The amounts are taken to be as they are: the interval is that of the conversions, in euros.
        of_each = revenue / paths.conversions if paths.conversions else 0.0
        amounts = sorted(each * of_each for each in conversions[1:])
        found[channel] = Credit(conversions, (conversions[0] * of_each, *amounts))  # type: ignore[arg-type]
    return found


def lift_tests(rows: pl.DataFrame, as_of: date) -> dict[str, LiftTest]:
    """The newest test of each channel that was over by a day, from rows of `lookup_lift_tests`."""
    found: dict[str, LiftTest] = {}
    for row in rows.sort("last_day", "first_day").rows(named=True):
        if row["last_day"] <= as_of:
            incremental = (row["incremental_conversions"], row["low"], row["high"])
            found[row["channel"]] = LiftTest(row["channel"], row["first_day"], row["last_day"], incremental)
    return found


def factors(test: LiftTest, credited: Mapping[str, Mapping[str, Credit]]) -> dict[str, tuple[float, float, float]]:
    """By model, what its credit of a channel is multiplied by: incremental / credited in the days of the test.

    The ends of the test's interval give the ends of the factor. A model that credited nothing in these days has none.

    Args:
        credited: what the models credit in the days of the test.
    """
    return {
        model: tuple(each / of_channel.conversions[0] for each in test.incremental)  # type: ignore[misc]
        for model, of_model in credited.items()
        if (of_channel := of_model.get(test.channel)) and of_channel.conversions[0] > 0
    }


def compute(published: Published) -> pl.DataFrame:
    """The table of `attribution_models_report`."""
    credited = credits_of(published.rows("attribution_daily"), published.rows("rpt_paths"))
    tests = lift_tests(published.rows("lookup_lift_tests"), max(published.days.days()))
    by_test = {}
    for channel, test in tests.items():
        daily = published.rows("attribution_daily", test.days)
        if (daily["event_date"].min(), daily["event_date"].max()) == (test.first_day, test.last_day):
            path_rows = published.rows("rpt_paths", test.days)
            by_test[channel] = factors(test, credits_of(daily, path_rows, with_intervals=False))
    rows = list(_rows(credited, tests, by_test))
    return pl.DataFrame(rows, schema=[*MODELS_REPORT.columns], orient="row")


def _rows(
    credited: Credits,
    tests: Mapping[str, LiftTest],
    by_test: Mapping[str, Mapping[str, tuple[float, float, float]]],
) -> Iterator[tuple[object, ...]]:
    """A row a model and channel: the models in their order, their channels from the largest credit down."""
    channels = {channel for of_model in credited.values() for channel in of_model}
    for model, of_model in credited.items():
        whole = sum(credit.conversions[0] for credit in of_model.values())
        in_order = sorted(channels, key=lambda name: (-of_model.get(name, Credit()).conversions[0], name))
        for channel in in_order:
            credit, factor = of_model.get(channel, Credit()), by_test.get(channel, {}).get(model)
            supported_by = tests[channel].said if channel in tests else NO_TEST
            if channel in tests and not factor:
                why = "in which it credits nothing" if channel in by_test else "whose days are not all known"
                supported_by = f"{supported_by}, {why}"
            calibrated = (None, None, None)
            if factor:
                calibrated = tuple(credit.conversions[0] * each for each in factor)  # type: ignore[assignment]
            yield (
                model,
                channel,
                supported_by,
                credit.conversions[0] / whole if whole else None,
                *credit.conversions,
                *credit.revenue,
                factor[0] if factor else None,
                *calibrated,
            )


MODELS_REPORT = Analysis(
    name="attribution_models_report",
    title="Models of attribution",
    description=(
        "What each model of attribution credits to a channel: models by a rule beside those that look at all paths, "
        "with 95 % intervals, and calibrated where a test of lift was run."
    ),
    days=90,
    columns={
        "model": Column.TEXT,
        "channel": Column.TEXT,
        "supported_by": Column.TEXT,
        "share": Column.NUMBER,
        "credited_conversions": Column.NUMBER,
        "conversions_low": Column.NUMBER,
        "conversions_high": Column.NUMBER,
        "credited_revenue": Column.NUMBER,
        "revenue_low": Column.NUMBER,
        "revenue_high": Column.NUMBER,
        "calibration_factor": Column.NUMBER,
        "calibrated_conversions": Column.NUMBER,
        "calibrated_low": Column.NUMBER,
        "calibrated_high": Column.NUMBER,
    },
    reads=("attribution_daily", "rpt_paths", "lookup_lift_tests"),
    compute=compute,
)
