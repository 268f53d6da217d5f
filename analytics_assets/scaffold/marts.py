"""A daily mart of a model, and the report of a mart: their files, from what is to be summed by what."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analytics_assets.foundation.words import lower_first
from analytics_assets.scaffold.names import LONGEST, free, title_of
from analytics_assets.scaffold.texts import Flow, literal, names, rendered, yml

FEW = 8  # values of a dimension: so many fit into the colours of a chart
FIRST_SHOWN = 28  # days: those on which a page opens
FEWEST_ROWS_SHOWN = 14  # of them; if there are fewer, it opens on all days
MOST_KEY_FIGURES = 6
MOST_OVER_TIME = 5

_VALUES: Mapping[str, tuple[Any, Any]] = {
    "varchar": ("a", "b"),
    "boolean": (True, False),
    "date": ("2024-12-01", "2024-12-02"),
}
"""Two values of a type, for the unit test of a mart that is split by it; of any other type they are numbers."""


@dataclass(frozen=True)
class Summed:
    """A column that a mart sums.

    Attributes:
        column: in the model that the mart is of.
        total, rows: the mart's columns: the sum, and how many rows have a value.
        is_whole: whether it holds whole numbers.
        is_mean: whether people ask for its mean.
        is_flag: whether it holds 0 and 1 alone, so that its mean is a share.
    """

    column: str
    total: str
    rows: str
    is_whole: bool
    is_mean: bool
    is_flag: bool = False

    @property
    def type(self) -> str:
        """Its type, as DuckDB writes it."""
        return "bigint" if self.is_whole else "decimal(38, 9)"

    @property
    def macro(self) -> str:
        """The end of the macro that names its type."""
        return "count" if self.is_whole else "amount"


@dataclass(frozen=True)
class Mart:
    """A mart by day and some columns.

    Attributes:
        by: the columns to split by, with their types as DuckDB writes them.
        described: what the columns of `by` hold.
        counts: its other columns of whole numbers that add up.
        is_daily: whether each day is expected to have rows.
        flags: those columns of `by` that hold yes and no, each with the texts of both, yes first.
        labels: titles of columns that are written in another way than their name says.
        has_volume: whether a day has so many rows that their number is usually about the same.
    """

    name: str
    title: str
    domain: str
    owner: str
    model: str
    day: str
    by: Mapping[str, str]
    described: Mapping[str, str]
    sums: Sequence[Summed]
    counts: Sequence[str] = ("row_count",)
    is_daily: bool = False
    has_volume: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def label(self, column: str, *, within: bool = False) -> str:
        """The title of a column; within a sentence, one that is made from its name begins small."""
        made = title_of(column)
        return self.labels.get(column) or (lower_first(made) if within else made)

    @property
    def numbers(self) -> list[str]:
        """Its columns of numbers."""
        return [*self.counts, *dict.fromkeys(name for one in self.sums for name in (one.total, one.rows))]


def summed(
    columns: Sequence[tuple[str, bool, bool]], taken: Sequence[str], flags: Collection[str] = ()
) -> list[Summed]:
    """The mart's names for the sums of some columns, each with whether it is whole and whether its mean is asked for.

    Args:
        taken: names that the mart has already.
        flags: those of the columns that hold 0 and 1 alone.
    """
    found: list[Summed] = []
    held = {*taken, "row_count"}
    for column, is_whole, is_mean in columns:
        total = free(f"total_{column}"[:LONGEST].rstrip("_"), held)
        rows = free(f"rows_with_{column}"[:LONGEST].rstrip("_"), held | {total})
        held |= {total, rows}
        found.append(Summed(column, total, rows, is_whole, is_mean, column in flags))
    return found


def sql_of(mart: Mart) -> str:
    """The SQL of a mart."""
    return rendered("mart.sql.j2", model=mart.model, day=mart.day, by=list(mart.by), measures=mart.sums)


def yml_of(mart: Mart) -> str:
    """The yml of a mart: contract, descriptions, tests, and a unit test of sparse rows."""
    not_null = [{"type": "not_null"}]
    columns: list[dict[str, Any]] = [
        Flow(name=name, data_type=dtype, description=mart.described[name]) for name, dtype in mart.by.items()
    ]
    columns.append(_column("row_count", "bigint", f"Rows of {mart.model}.", not_null))
    for one in mart.sums:
        columns.append(_column(one.total, one.type, f"The sum of {one.column}; 0 where no row has one.", not_null))
        columns.append(_column(one.rows, "bigint", f"Rows with a value in {one.column}.", not_null))
    columns.append(_column(mart.day, "date", "The day; the partition.", not_null))
    measures: dict[str, Any] = {"row_count": 1} | {one.total: one.column for one in mart.sums}
    tests: list[Any] = ["adds_up", Flow(unique_together={"arguments": {"columns": [mart.day, *mart.by]}})]
    if mart.is_daily:
        meta = {"description": "There are rows of every day."}
        tests.append({"rows_every_day": {"config": Flow(severity="warn", meta=meta)}})
    if mart.has_volume:
        volume = {
            "name": f"usual_row_count_of_{mart.name}",
            "arguments": {"column": "row_count"},
            "config": {"severity": "warn"},
        }
        tests.append({"usual_volume": Flow(volume)})
    config: dict[str, Any] = {"contract": Flow(enforced=True), "require_partition_filter": True}
    if mart.by:
        config["cluster_by"] = list(mart.by)[:4]  # BigQuery takes four
    config["meta"] = {"day": mart.day, "adds_up": {"measures_of": mart.model, "measures": measures}}
    split = f" by {', '.join(mart.by)}" if mart.by else ""
    model = {
        "name": mart.name,
        "description": f"{mart.title} by day{split}: rows, sums, and how many rows each sum is of.",
        "config": config,
        "data_tests": tests,
        "columns": columns,
    }
    return yml({"version": 2, "models": [model], "unit_tests": [_unit_test(mart)]})


def _column(name: str, dtype: str, description: str, constraints: list[dict[str, str]]) -> dict[str, Any]:
    return Flow(name=name, data_type=dtype, description=description, constraints=constraints)


def _unit_test(mart: Mart) -> dict[str, Any]:
    """Four rows: two of one group, of which one lacks its numbers, one of another group, and one of another day."""
    values = {name: _VALUES.get(dtype, (1, 2)) for name, dtype in mart.by.items()}
    first: dict[str, Any] = {name: value for name, (value, _) in values.items()}
    second = first | {name: other for name, (_, other) in list(values.items())[:1]}
    numbers = [{one.column: value for one in mart.sums} for value in (2, None, 5, 99)]
    days = ["2025-01-01", "2025-01-01", "2025-01-01", "2025-01-02"]
    groups = [first, first, second, first]
    given = [Flow({**group, **held, mart.day: at}) for group, held, at in zip(groups, numbers, days, strict=True)]

    def row(group: dict[str, Any], rows: int, total: int, with_value: int) -> Flow:
        sums = {name: value for one in mart.sums for name, value in ((one.total, total), (one.rows, with_value))}
        return Flow({**group, "row_count": rows, **sums, mart.day: days[0]})

    expected = [row(first, 2, 2, 1), row(second, 1, 5, 1)] if mart.by else [row({}, 3, 7, 2)]
    return {
        "name": f"{mart.name}_sums_each_group_of_a_day_and_a_missing_number_counts_as_none",
        "model": mart.name,
        "overrides": {"vars": {"window_start": "2025-01-01", "window_end": "2025-01-02"}},
        "given": [{"input": f"ref('{mart.model}')", "rows": given}],
        "expect": {"rows": expected},
    }


def exposure_of(mart: Mart, report: str, title: str) -> str:
    """The yml that tells dbt of a report of a mart."""
    exposure = {
        "name": report,
        "label": title,
        "type": "dashboard",
        "description": f"{title} by day.",
        "owner": {"name": mart.owner},
        "depends_on": [f"ref('{mart.name}')"],
        "config": {
            "meta": {
                "assets": [f"{report}_dashboard", f"{report}_workbook"],
                "file": f"data/exports/{report}_dashboard.html",
            }
        },
    }
    return yml({"version": 2, "exposures": [exposure]})


def report_of(
    mart: Mart,
    report: str,
    title: str,
    days: int,
    values: Mapping[str, int],
    notes: Sequence[str],
    *,
    is_over_time: bool = True,
    opens_on_all: bool = False,
    is_steady: bool = False,
) -> str:
    """The Python file of a mart's report.

    Args:
        days: how many it looks back.
        values: how many values each dimension has, as far as that is known.
        is_over_time: whether its rows have a time of their own, so that people ask first how they change.
        opens_on_all: whether its page opens on all days, since the newest ones have few rows.
        is_steady: whether nearly all days have the same number of rows, so that it says little.
    """
    counted = [
        _Figure(
            name,
            _title_of_count(mart, name),
            f'Sum("{mart.name}", "{name}")',
            "COUNT",
            "The number of rows, without duplicates." if name == "row_count" else f"The sum of {name}.",
        )
        for name in mart.counts
    ]
    sums = [
        _Figure(
            one.total,
            f"Total {mart.label(one.column, within=True)}",
            f'Sum("{mart.name}", "{one.total}")',
            "COUNT" if one.is_whole else "MEAN",
            f"The sum of {one.column}.",
        )
        for one in mart.sums
        if not one.is_mean
    ]
    means = [_mean(mart, one) for one in mart.sums if one.is_mean]
    shares = [_share(mart, name, of) for name, of in mart.flags.items() if "row_count" in mart.counts]
    figures = over_time = [*counted, *sums, *shares, *means]
    if is_steady and not mart.by and len(figures) > len(counted):
        over_time = [*sums, *shares, *means]
        figures = [*over_time, *counted]
    first, shown = figures[0], [one.name for one in figures]
    split = next((name for name in mart.by if values.get(name, FEW) <= FEW), None) if not _is_mean(first) else None
    by_time, charts, tables = [], [], []
    if days > 1:
        by_time.append(_chart(f"{first.title} over time", first.name, split=split))
        by_time += [_chart(f"{one.title} over time", one.name) for one in over_time[1 : 1 + MOST_OVER_TIME]]
    if days > 1 or not mart.by:
        tables.append(f'"days", "Days", ("day",), {names(shown)}')
    others = [one for one in (*sums[:1], *means[:1]) if one != first]
    for name in mart.by:
        by = mart.label(name, within=True)
        charts += [_chart(f"{one.title} by {by}", one.name, by=name) for one in (first, *others)]
    titles = ["days"]  # of the sheets so far, in small letters: a workbook has none twice
    for name in mart.by:
        tab = _title_of_tab(mart.label(name))
        if (alone := free(tab.lower(), titles)) != tab.lower():
            tab = alone
        titles.append(alone)
        of_whole = "" if _is_mean(first) else ", shares=True"
        tables.append(f'"by_{name}", {literal(tab)}, ("{name}",), {names(shown)}{of_whole}')
    charts = [*by_time, *charts] if is_over_time else [*charts, *by_time[:1]]
    used = ["Chart", "Dataset", "Dimension", "Format", "Measure", "Ratio", "Report", "Sum", "Table"]
    if not mart.by:
        used.remove("Dimension")
    if not charts:
        used.remove("Chart")
    if not (means or shares):
        used.remove("Ratio")
    return rendered(
        "reports.py.j2",
        name=report,
        const=report.upper(),
        title=title,
        days=days,
        opens_on_all=opens_on_all,
        mart=mart.name,
        dimensions=list(mart.by),
        labels={name: mart.label(name) for name in mart.by},
        numbers=mart.numbers,
        measures=figures,
        key_figures=shown[:MOST_KEY_FIGURES],
        charts=charts,
        tables=tables,
        notes=notes,
        used=", ".join(used),
    )


def _title_of_tab(title: str) -> str:
    """A title that can name a sheet of a workbook."""
    return " ".join(re.sub(r"[\[\]:*?/\\']", " ", title).split())[:28] or "Values"


def _title_of_count(mart: Mart, name: str) -> str:
    if name != "row_count":
        return title_of(name)
    return mart.title if mart.title.endswith("s") and not mart.title.endswith("ss") else "Rows"


@dataclass(frozen=True)
class _Figure:
    name: str
    title: str
    value: str
    format: str
    note: str


def _mean(mart: Mart, one: Summed) -> _Figure:
    """The mean of a column; of one with 0 and 1, the share of rows with 1."""
    what, title = f"mean_{one.column}", f"Mean {mart.label(one.column, within=True)}"
    note = f"The mean of {one.column}, over the rows that have one."
    if one.is_flag:
        what, title = f"share_of_{one.column}", f"{mart.label(one.column)} (share)"
        note = f"The share of rows in which {one.column} is 1, of those that have it."
    value = f'Ratio(Sum("{mart.name}", "{one.total}"), Sum("{mart.name}", "{one.rows}"))'
    return _Figure(what, title, value, "SHARE" if one.is_flag else "MEAN", note)


def _share(mart: Mart, name: str, of: tuple[str, str]) -> _Figure:
    """The share of the rows in which a column of the mart says yes."""
    yes, no = of
    rows = [f'Sum("{mart.name}", "row_count", {{"{name}": {names(values)}}})' for values in ([yes], [yes, no])]
    note = f"The share of rows in which {name} is {yes}, of those that have it."
    return _Figure(f"share_of_{name}", f"{mart.label(name)} (share)", f"Ratio({', '.join(rows)})", "SHARE", note)


def _is_mean(figure: _Figure) -> bool:
    return figure.value.startswith("Ratio")


def _chart(title: str, measure: str, by: str | None = None, split: str | None = None) -> str:
    more = [f'by="{by}"'] if by else []
    more += [f'split="{split}"'] if split else []
    return ", ".join([literal(title), f'"{measure}"', *more])
