"""What an analysis is: a table that is computed in Python, as of a day, from what is published. Only declarations.

It is for what SQL cannot say or what no day says alone: a model that is fitted over a span of days, or sentences that
follow from figures. What adds up by day is a dbt model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import polars as pl

from analytics_assets.partitions import Window

ENDING = "csv"
"""The ending of the file that holds the table."""

TEXT_ENDING = "md"
"""The ending of the file that holds its text."""


class Column(StrEnum):
    """What a column holds; any of them may be empty."""

    TEXT = "text"
    NUMBER = "number"  # a 64-bit float


class Published(Protocol):
    """What an analysis is given: the published rows of what it reads."""

    @property
    def days(self) -> Window:
        """The days that it looks back on; the last one is the day that it is as of."""
        ...

    def rows(self, name: str, days: Window | None = None, before: Window | None = None) -> pl.DataFrame:
        """The rows of something that the analysis reads, in one order; decimals as 64-bit floats.

        Of a table, the rows of the days; of a table function, what it returns for the first and the last of them; of a
        view or a seed, all rows, as they are now; of another analysis, its table as of the same day.

        Args:
            days: other days than those of `days`, none after the last of them. When rows of days before the first one
                change, that alone does not make the analysis again.
            before: of a table function that compares two spans, the first of them: its first and last day are the
                arguments before those of `days`.

        Raises:
            ValueError: the analysis does not declare to read it, or the days reach beyond its own.
            NotMade: it was never made.
        """
        ...


@dataclass(frozen=True)
class Analysis:
    """The declaration of a table that is computed as of a day; it is written as a CSV file.

    Attributes:
        name: also the name of its asset and files.
        days: how many days it looks back, including its own.
        columns: what each column holds, in their order.
        reads: names of what it reads: public models, table functions of a first and a last day, seeds, and other
            analyses of its domain.
        compute: returns the table; the same rows give the same table. Its order is kept.
        text: what the table says in Markdown, for a file beside it; optional.

    Raises:
        ValueError: it reads nothing, or has no columns.
    """

    name: str
    title: str
    description: str
    days: int
    columns: Mapping[str, Column]
    reads: tuple[str, ...]
    compute: Callable[[Published], pl.DataFrame]
    text: Callable[[pl.DataFrame], str] | None = None

    def __post_init__(self) -> None:
        if not self.reads or not self.columns:
            raise ValueError(f"analysis {self.name}: it must read something, and have columns")

    def checked(self, table: pl.DataFrame) -> pl.DataFrame:
        """The table with the columns as they are declared.

        Raises:
            ValueError: other columns, a text in a column of numbers, or a number that is infinite or none.
        """
        if table.columns != [*self.columns]:
            raise ValueError(
                f"analysis {self.name}: its columns are {', '.join(table.columns) or 'none'}; it declares "
                f"{', '.join(self.columns)}"
            )
        types = {name: pl.String if kind is Column.TEXT else pl.Float64 for name, kind in self.columns.items()}
        for name, kind in self.columns.items():
            held = table.schema[name]
            if kind is Column.NUMBER and not (held.is_numeric() or held == pl.Null):
                raise ValueError(f"analysis {self.name}: {name} is declared as numbers, and holds {held}")
        found = table.cast(types)  # type: ignore[arg-type]
        for name, kind in self.columns.items():
            if kind is Column.NUMBER and not found[name].is_finite().all():
                raise ValueError(f"analysis {self.name}: {name} holds a number that is infinite or none")
        return found
