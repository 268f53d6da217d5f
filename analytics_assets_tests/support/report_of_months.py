"""A report of a hundred days, from a Wednesday to a Thursday: what is by day is also by week and by month."""

from datetime import date

import polars as pl

from analytics_assets.partitions import Window
from analytics_assets.reports.datasets import Frames
from analytics_assets.spec.report import (
    WEEKDAY,
    Chart,
    Dataset,
    Dimension,
    Distinct,
    Format,
    Measure,
    Ratio,
    Report,
    Shape,
    Spread,
    Sum,
    Table,
)

DAYS = Window.of_days(date(2026, 1, 7), date(2026, 4, 16))
COUNTRIES = ("DE", "FR", "HU", "SG", "US", "unknown")
KINDS = ("paid", "free")

_ASKED, _GIVEN = (
    Sum("mart", name, variance=f"{name}_variance", rows="rows") for name in ("asked", "given")
)  # the rows are the same, so that the interval of their ratio is not known

MONTHS = Report(
    name="months",
    title="Months",
    days=100,
    datasets=(
        Dataset("mart", ("country", "kind", "visitor"), ("asked", "given", "asked_variance", "given_variance", "rows")),
        Dataset("bills", ("country", "kind"), ("spend",)),
    ),
    dimensions=(
        Dimension("country", "Country", is_filter=True, is_country=True),
        Dimension("kind", "Kind", values=KINDS, is_filter=True),
        Dimension("visitor", "Visitor"),
    ),
    measures=(
        Measure("asked", "Asked", _ASKED, Format.COUNT, ".", unit="calls", good="up"),
        Measure("visitors", "Visitors", Distinct("mart", "visitor"), Format.COUNT, "."),
        Measure("rate", "Rate", Ratio(_GIVEN, _ASKED), Format.SHARE, ".", good="up", target=0.5, unfinished_days=3),
        Measure("spend", "Spend", Sum("bills", "spend"), Format.MONEY, ".", currency="$"),
        Measure(
            "price",
            "Price",
            Ratio(Sum("bills", "spend"), Sum("mart", "given")),
            Format.MONEY,
            ".",
            good="down",
            target=5,
        ),
        Measure("apart", "Apart", Spread(Sum("mart", "asked"), across="kind", part="country"), Format.SHARE, "."),
        Measure("few", "Few", Ratio(Sum("mart", "given"), Sum("bills", "spend")), Format.COUNT, "."),
    ),
    key_figures=("asked", "visitors", "rate", "spend", "price", "apart"),
    charts=(
        Chart("Asked over time", "asked", split="kind"),
        Chart("Visitors over time", "visitors"),
        Chart("Rate over time", "rate"),
        Chart("Asked by country", "asked", by="country"),
        Chart("Asked on the map", "asked", by="country", shape=Shape.MAP),
        Chart("Rate by weekday and country", "rate", by=WEEKDAY, split="country", shape=Shape.HEATMAP),
        Chart("Asked by weekday and kind", "asked", by=WEEKDAY, split="kind", shape=Shape.HEATMAP),
        Chart("Asked against spend by country", "asked", by="country", against="spend", shape=Shape.SCATTER),
        Chart("Price by country", "price", by="country"),
        Chart("Few over time", "few"),
    ),
    tables=(
        Table("days", "Days", ("day",), ("asked", "visitors", "rate", "spend", "price", "apart")),
        Table("countries", "Countries", ("country", "kind"), ("asked", "visitors", "rate"), shares=True),
    ),
)


def frames() -> Frames:
    """Rows of each day but one; visitors come again, so that those of a week are fewer than the sum of its days."""
    mart, bills = [], []
    for number, day in enumerate(DAYS.days()):
        if day == date(2026, 2, 3):
            continue  # a day without rows in the middle of a week
        for place, country in enumerate(COUNTRIES):
            for kind in KINDS:
                bills.append((day, country, kind, 20.0 + 3 * place + number % 5))
                for visitor in range(2):
                    asked = 40.0 + 10 * place + 7 * day.weekday() + (5 if kind == "paid" else 0) + number % 4
                    given = asked * (0.3 + 0.04 * ((number + place) % 9))
                    name = f"v{(number * (place + 1) + visitor) % 23}"
                    mart.append((day, country, kind, name, asked, given, asked / 2, given / 2, 50.0))
    keys = {"day": pl.Date, "country": pl.String, "kind": pl.String}
    numbers = ("asked", "given", "asked_variance", "given_variance", "rows")
    return {
        "mart": pl.DataFrame(
            mart, schema={**keys, "visitor": pl.String, **dict.fromkeys(numbers, pl.Float64)}, orient="row"
        )
        .group_by("day", "country", "kind", "visitor", maintain_order=True)
        .sum()
        .sort("day", "country", "kind", "visitor"),
        "bills": pl.DataFrame(bills, schema={**keys, "spend": pl.Float64}, orient="row").sort("day", "country", "kind"),
    }
