"""What the rejected rows of a source have in common: by column and reason, with the value that failed most often."""

import hashlib
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import polars as pl

from analytics_assets.foundation.plain_text import plain, shortened
from analytics_assets.foundation.words import plural
from analytics_assets.settings import Settings
from analytics_assets.spec.source import Source

REASONS_SHOWN = 3
"""The most reasons that a summary names, the most frequent first."""

LONGEST_VALUE = 40
"""The most characters of a value that are shown."""

LONGEST_MARK = 10
"""The most characters of a text that may stand for no value, such as `NULL` or `unknown`."""

IN_THE_REJECTS = "the rejects say why"
"""Why a row was rejected, where that is not read."""

NOT_A = "not a "
"""Begins the reason of a value that did not parse."""


def rejects_name(identity: str) -> str:
    """Begins the names of the files that hold the rejects of a content."""
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def why_rejected(settings: Settings, source: Source, identities: Iterable[str], day: date | None = None) -> str:
    """Why rows of some contents were rejected, in a sentence; empty if their rejects were deleted.

    Args:
        day: of which day; None for all.
    """
    folder = settings.rejects_dir / source.name
    files: list[Path] = []
    for identity in identities:
        files += sorted(folder.glob(f"{rejects_name(identity)}-*.parquet"))
    if not files:
        return ""
    rejects = pl.concat([pl.read_parquet(file, glob=False) for file in files], how="diagonal_relaxed")
    if day is not None:
        rejects = rejects.filter(pl.col("day") == day)
    said = list(reasons_of(source, rejects))
    more = len(said) - REASONS_SHOWN
    return "; ".join([*said[:REASONS_SHOWN], *([f"and {plural(more, 'more reason')}"] if more > 0 else [])])


def reasons_of(source: Source, rejects: pl.DataFrame) -> dict[str, int]:
    """A sentence for each column and reason of some rejects, the most frequent first, with the number of its rows."""
    reasons = rejects.group_by("column", "reason", maintain_order=True).agg(pl.col("lines").sum(), pl.col("text"))
    reasons = reasons.sort("lines", descending=True, maintain_order=True)
    return {_sentence(source, *reason): reason[2] for reason in reasons.iter_rows()}


def _sentence(source: Source, column: str | None, reason: str, rows: int, texts: list[str]) -> str:
    if column is None:
        return f"{reason}: {plural(rows, 'row')}"
    if not reason.startswith(NOT_A):
        return f"{column}: {reason}: {plural(rows, 'row')}"
    name = column.replace("\\", "\\\\").replace('"', '\\"')
    values = pl.Series("value", texts).str.json_path_match(f'$["{name}"]').drop_nulls()
    counts = values.value_counts(name="rows").sort("rows", "value", descending=[True, False])
    what = reason.removeprefix(NOT_A)
    if what == "time" and source.timezone != "UTC":  # whose clocks skip an hour a year
        what += f" in {source.timezone}"
    if counts.is_empty():
        return f"{column} is no {what}: {plural(rows, 'row')}"
    value, first = counts.row(0)
    said = f"{column}: `{shortened(plain(value), LONGEST_VALUE)}` is no {what}: {plural(first, 'row')}"
    if rows > first:
        said += f", and {plural(counts.height - 1, 'other value')}: {plural(rows - first, 'row')}"
    if _may_stand_for_nothing(value) and value not in source.nulls_of(column):
        said += "; add it to `null_values`?"
    return said


def _may_stand_for_nothing(value: str) -> bool:
    """Whether a text looks like a mark for no value, and not like a value that is spelled wrong."""
    return 0 < len(value) <= LONGEST_MARK and not any(letter.isdigit() for letter in value)
