"""Numbers the rows of a file that are equal in their key, for sources whose rows have no id."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from analytics_assets.spec.source import REPEAT

_BEFORE = "_before"


def with_repeat(rows: pl.DataFrame, key: Sequence[str], before: Sequence[Path]) -> pl.DataFrame:
    """Rows with their `_repeat`: 1, 2, 3 … among the rows of one day of one file that are equal in the key.

    A large file lands in several pieces a day. The count goes on from those that are written, which are read in
    streams: memory holds the rows that are given and their keys, however large the file is.

    Args:
        rows: of one day of one file, in the order of the file.
        key: columns of the rows; nulls are equal to each other.
        before: the pieces of the day with the rows that precede these in the file.
    """
    keys = rows.select(key)
    repeated = keys.is_duplicated().arg_true()  # mostly few: to count all rows takes three times as long
    counted = keys[repeated].select(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(key)).to_series()
    number = pl.repeat(1, rows.height, dtype=pl.Int64, eager=True).scatter(repeated, counted)
    if before:
        counted_before = (
            pl.scan_parquet(list(before), glob=False)
            .select(*key, REPEAT)
            .join(keys.lazy(), on=key, how="semi", nulls_equal=True)
            .group_by(key)
            .agg(pl.col(REPEAT).max().alias(_BEFORE))
            .collect(engine="streaming")
        )
        counted_on = keys.join(counted_before, on=key, how="left", nulls_equal=True, maintain_order="left")
        number += counted_on[_BEFORE].fill_null(0)
    return rows.with_columns(number.alias(REPEAT))
