"""Two small sources, and what has landed of them."""

from collections.abc import Callable
from datetime import date

import polars as pl

from analytics_assets.ingest.landing import piece_file
from analytics_assets.partitions import Window
from analytics_assets.spec.source import Kind, Source
from analytics_assets.state.ledger import Ledger, Totals
from analytics_assets_tests.support.inbox import Inbox

VISITS = Source(
    name="visits",
    patterns=("*.csv", "*.csv.gz", "*.parquet", "*.jsonl", "*.jsonl.gz"),
    columns={"id": pl.String, "at": pl.Datetime("us"), "amount": pl.Float64, "n": pl.Int64, "note": pl.String},
    time="at",
    primary_key=("id",),
    optional=frozenset({"note"}),
    rules={"n is negative": pl.col("n") >= 0},
)


SHOPS = Source(
    name="shops",
    patterns=("*.csv",),
    columns={"id": pl.String, "city": pl.String},
    kind=Kind.SNAPSHOT,
    primary_key=("id",),
)


HEADER = "id,at,amount,n,note\n"


JUNE = Window(date(2025, 6, 1), date(2025, 7, 1))


MakeInbox = Callable[..., Inbox]


def rows_of(inbox: Inbox, window: Window = JUNE) -> pl.DataFrame:
    """The current rows of a window's days, as a raw day would hold them."""
    pieces = Ledger(inbox.settings.lake_dir).pieces(inbox.source, window)
    frames = [
        pl.read_parquet(piece_file(inbox.settings, inbox.source, piece)).with_columns(_day=pl.lit(day))
        for day, held in pieces.items()
        for piece in held
    ]
    return pl.concat(frames) if frames else pl.DataFrame(schema={**inbox.source.schema, "_day": pl.Date})


def ids(inbox: Inbox, window: Window = JUNE) -> list[str]:
    return sorted(rows_of(inbox, window)["id"].to_list())


def totals(inbox: Inbox) -> Totals:
    return Ledger(inbox.settings.lake_dir).totals(inbox.source, JUNE)


def visit(name: str, amount: int = 1) -> str:
    return f"{name},2025-06-01 10:00:00,{amount},1,\n"
