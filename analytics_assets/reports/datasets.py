"""The rows of a report: read from its models for a span of days, already summed by the report's dimensions.

They are read from the published tables, so that a report agrees with what people query there: a day that failed shows
the rows with which it last passed, or none.
"""

from collections.abc import Callable, Mapping
from datetime import date

import polars as pl

from analytics_assets.partitions import Window
from analytics_assets.reports.analysis_file import from_csv
from analytics_assets.settings import Settings
from analytics_assets.spec.analysis import ENDING
from analytics_assets.spec.model_node import Manifest, ModelNode
from analytics_assets.spec.report import DAY, NONE, OTHER, Dataset, Largest, Report, Sum, Table
from analytics_assets.state.builds import export_of
from analytics_assets.warehouse.interface import Warehouse, between, on_days

Frames = Mapping[str, pl.DataFrame]
"""By model of a report: `day`, its dimensions as texts, its numbers as 64-bit floats; sorted by day and dimensions."""


def read_datasets(warehouse: Warehouse, report: Report, manifest: Manifest, window: Window) -> Frames:
    """The rows of each dataset on the days of a window; empty frames for models without rows.

    Of a dataset that shows its largest rows, one more than is ever shown: `largest` tells by it that some are left out.

    Raises:
        NotMade: a model was never made.
    """
    with warehouse.reading_published() as reader:
        return {
            dataset.model: (
                _of_analysis(warehouse.settings, report, dataset, max(window.days()))
                if dataset.is_analysis
                else reader.frame(query(warehouse, report, dataset, manifest.made[dataset.model], window))
            ).sort(DAY, *dataset.dimensions)
            for dataset in report.datasets
        }


def _of_analysis(settings: Settings, report: Report, dataset: Dataset, day: date) -> pl.DataFrame:
    """The table of an analysis as of a day, which all its rows are of; empty if it was not made as of that day.

    A number that it lacks stays null.
    """
    file = export_of(settings, dataset.model, day, ENDING)
    dimensions, numbers = dataset.dimensions, dataset.numbers
    if not file.is_file():
        types = {DAY: pl.Date, **dict.fromkeys(dimensions, pl.String), **dict.fromkeys(numbers, pl.Float64)}
        return pl.DataFrame(schema=types)
    texts = {column: pl.col(column).fill_null(NONE) for column in dimensions}
    for column in dimensions:
        if (values := report.dimension(column).values) is not None:
            texts[column] = pl.when(texts[column].is_in(values)).then(texts[column]).otherwise(pl.lit(OTHER))
    keys = [pl.lit(day).alias(DAY), *(text.alias(column) for column, text in texts.items())]
    rows = from_csv(file.read_bytes()).select(*keys, pl.col(numbers).cast(pl.Float64))
    known = [pl.when(pl.col(number).is_null().all()).then(None).otherwise(pl.col(number).sum()) for number in numbers]
    sums = [value.alias(number) for value, number in zip(known, numbers, strict=True)]
    return rows.group_by(DAY, *dimensions, maintain_order=True).agg(sums)


def query(warehouse: Warehouse, report: Report, dataset: Dataset, node: ModelNode, window: Window) -> str:
    """The SQL of a dataset on the days of a window."""
    day, quoted = dataset.day or node.day, warehouse.quoted
    keys = {DAY: day, **{column: _dimension(warehouse, report, column) for column in dataset.dimensions}}
    columns = [f"{value} as {quoted(name)}" for name, value in keys.items()]
    columns += [
        f"cast(sum({quoted(column)}) as {warehouse.ratio_type}) as {quoted(column)}" for column in dataset.numbers
    ]
    where, places = between(day, window), [str(place) for place in range(1, len(keys) + 1)]
    if not dataset.day:
        where += f" and ({on_days(day, warehouse.published_days(dataset.model, window))})"
    sql = f"select {', '.join(columns)} from {node.relation_name} where {where} group by {', '.join(places)}"
    if dataset.largest:
        number = len(keys) + dataset.numbers.index(dataset.largest.number) + 1
        sql += f" order by {number} desc, {', '.join(places)} limit {dataset.largest.tabs + 1}"
    return sql


def _dimension(warehouse: Warehouse, report: Report, column: str) -> str:
    text = warehouse.text
    value = f"coalesce(cast({warehouse.quoted(column)} as {warehouse.text_type}), {text(NONE)})"
    if (values := report.dimension(column).values) is not None:
        value = f"case when {value} in ({', '.join(map(text, values))}) then {value} else {text(OTHER)} end"
    return value


def days_with_rows(report: Report, frames: Frames) -> list[date]:
    """The days on which any dataset has rows, oldest first.

    An analysis has rows as of a day, which says nothing of that day, unless the report shows nothing else.
    """
    dated = [one for one in report.datasets if not one.is_analysis] or report.datasets
    return sorted({day for dataset in dated for day in frames[dataset.model][DAY].to_list()})


def left_out_of(report: Report, table: Table, said: Mapping[str, str]) -> str:
    """What a table leaves out, given what `largest` says by model; empty if it shows everything."""
    models = dict.fromkeys(model for name in table.measures for model in report.models_of(report.measure(name)))
    return "; ".join(said[model] for model in models if model in said)


def largest(report: Report, frames: Frames, most: Callable[[Largest], int]) -> tuple[Frames, Mapping[str, str]]:
    """The rows that a file shows, and by model a sentence on those that it leaves out.

    Args:
        most: how many rows of a dataset the file shows.
    """
    shown, said = dict(frames), {}
    for dataset in report.datasets:
        frame, wanted = frames[dataset.model], dataset.largest
        if wanted is None or frame.height <= (limit := most(wanted)):
            continue
        in_order = [wanted.number, DAY, *dataset.dimensions]
        descending = [True] + [False] * (len(in_order) - 1)
        kept = frame.sort(in_order, descending=descending).head(limit)
        shown[dataset.model] = kept.sort(DAY, *dataset.dimensions)
        whole = f"{frame.height:,}" if frame.height <= wanted.tabs else f"more than {wanted.tabs:,}"
        value = Sum(dataset.model, wanted.number)
        title = next((one.title for one in report.measures if one.value == value), wanted.number)
        said[dataset.model] = f"of {whole} rows, these are the {limit:,} with the largest value of “{title}”"
    return shown, said
