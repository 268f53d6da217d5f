"""A small report of which one answer counts at a time: spend once, and what two models credit for it."""

from datetime import date

import polars as pl

from analytics_assets.partitions import Window
from analytics_assets.reports.datasets import Frames
from analytics_assets.spec.report import (
    NONE,
    Chart,
    Dataset,
    Dimension,
    Format,
    Measure,
    Ratio,
    Report,
    Spread,
    Sum,
    Table,
)

DAYS = [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)]
WINDOW = Window.of_days(DAYS[0], DAYS[-1])

SPEND, CREDITED = Sum("mart", "spend"), Sum("mart", "credited")

SWITCHED = Report(
    name="switched",
    title="Switched",
    days=3,
    datasets=(
        Dataset("mart", ("channel", "model"), ("credited", "spend")),
        Dataset("paths", ("channel",), ("conversions",)),
    ),
    dimensions=(Dimension("channel", "Channel", is_filter=True), Dimension("model", "Model", one_of=("last", "first"))),
    measures=(
        Measure("spread", "Disagreement", Spread(CREDITED, across="model", part="channel"), Format.SHARE, "."),
        Measure("credited", "Credited", CREDITED, Format.COUNT, "."),
        Measure("spend", "Spend", SPEND, Format.MONEY, "."),
        Measure("roas", "ROAS", Ratio(CREDITED, SPEND), Format.SHARE, ".", unfinished_days=2),
        Measure("conversions", "Conversions", Sum("paths", "conversions"), Format.COUNT, "."),
    ),
    key_figures=("spread", "credited", "spend", "roas", "conversions"),
    charts=(
        Chart("ROAS over time", "roas"),
        Chart("ROAS by model", "roas", by="model"),
        Chart("Disagreement", "spread", by="channel"),
        Chart("Conversions", "conversions", by="channel", against="credited", in_order=True),
    ),
    tables=(
        Table("channels", "Channels", ("channel",), ("credited", "spend", "roas", "spread"), shares=True),
        Table("days", "Days", ("day",), ("roas", "spread")),
        Table("models", "Models", ("model",), ("spend", "credited", "roas")),
        Table("paths", "Paths", ("channel",), ("conversions",)),
    ),
)

FRAMES: Frames = {
    "mart": pl.DataFrame(
        [
            (DAYS[0], "tv", NONE, 0.0, 10.0),
            (DAYS[0], "tv", "first", 6.0, 0.0),
            (DAYS[0], "tv", "last", 1.0, 0.0),
            (DAYS[0], "web", "first", 1.0, 0.0),
            (DAYS[0], "web", "last", 4.0, 0.0),
            (DAYS[0], "mail", "first", 1.0, 0.0),
            (DAYS[0], "mail", "last", 3.0, 0.0),
            (DAYS[2], "web", NONE, 0.0, 5.0),
            (DAYS[2], "web", "first", 1.0, 0.0),
            (DAYS[2], "web", "last", 2.0, 0.0),
            (DAYS[2], "tv", "first", 1.0, 0.0),  # and no row of `last`
        ],
        schema=["day", "channel", "model", "credited", "spend"],
        orient="row",
    ),
    "paths": pl.DataFrame({"day": [DAYS[0]], "channel": ["tv"], "conversions": [9.0]}),
}
"""The shares of tv are 0.7 by `first` and 0.1 by `last`, those of web 0.2 and 0.6, those of mail 0.1 and 0.3."""
