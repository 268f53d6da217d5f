"""Analyses as assets: a table as of a day, computed in Python from published rows, as a CSV file."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from dagster import AssetExecutionContext, AssetKey, AssetsDefinition, MetadataValue

from analytics_assets.dagster_internals import BaseAssetGraph
from analytics_assets.foundation.hashes import digest
from analytics_assets.foundation.plain_text import in_markdown
from analytics_assets.foundation.words import plural
from analytics_assets.partitions import WHOLE, Window
from analytics_assets.project import Project
from analytics_assets.reports.analysis_file import from_csv, to_csv
from analytics_assets.reports.as_of import (
    Declared,
    Made,
    Span,
    build_as_of,
    checksums,
    link_to,
    own_code,
    texts_in,
    upstream_of,
    write_export,
)
from analytics_assets.spec.analysis import ENDING, TEXT_ENDING, Analysis, Column
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.model_node import ModelNode
from analytics_assets.state.builds import builds_of, export_of
from analytics_assets.warehouse.interface import NotMade, between, on_days

ROWS_SHOWN = 20
"""The most rows of a table that its metadata shows."""


def build_analysis_asset(
    project: Project, domain: Domain, analysis: Analysis, graph: Callable[[], BaseAssetGraph]
) -> AssetsDefinition:
    """Builds the asset of an analysis, which has its name.

    Args:
        graph: returns the asset graph, once all assets are built.
    """

    def make(context: AssetExecutionContext, span: Span) -> Made:
        _require_loaded_seeds(project, analysis, graph())
        published = PublishedRows(project, analysis, span.days)
        table = analysis.checked(analysis.compute(published))
        files = {ENDING: to_csv(table)}
        if analysis.text:
            files[TEXT_ENDING] = analysis.text(table).encode()
        paths = {
            ending: write_export(project.settings, analysis.name, span.day, ending, content, is_newest=span.is_newest)
            for ending, content in files.items()
        }
        metadata = {
            "open": link_to(paths[ENDING], project.settings),
            "file": MetadataValue.path(str(paths[ENDING])),
            "bytes": len(files[ENDING]),
            "table": MetadataValue.md(preview(table)),
        }
        if TEXT_ENDING in paths:
            metadata["text"] = MetadataValue.path(str(paths[TEXT_ENDING]))
        return Made(table.height, not table.is_empty() or published.held_rows, metadata)

    declared = Declared(
        analysis.name,
        kind=ENDING,
        description=f"{analysis.description} As of a day, looking back {plural(analysis.days, 'day')}.",
        days=analysis.days,
        ending=ENDING,
        upstream=upstream_of(project, f"analysis {analysis.name}", analysis.reads, analysis.days),
        code=digest([*_declaration(analysis), *own_code(), *checksums(analysis.reads, project.manifest)]),
        pool=project.warehouse.pool(domain.name),
    )
    return build_as_of(project, domain, declared, graph, make)


class NotLoaded(Exception):
    """A seed is not loaded as its file is; the automation will load it."""

    may_pass = True


def _require_loaded_seeds(project: Project, analysis: Analysis, graph: BaseAssetGraph) -> None:
    """Fails before anything is read: a table from an outdated seed would be recorded as current.

    The automation waits for seeds. This covers an analysis that a person requests.
    """
    for name in analysis.reads:
        node = project.manifest.made.get(name)
        if node and node.is_seed:
            build = builds_of(node.asset, project.settings).read(name, WHOLE).get(WHOLE.start)
            if build is None or build.code != graph.get(AssetKey(name)).code_version:
                raise NotLoaded(
                    f"{analysis.name} reads {name}, which is not loaded as its file is: materialize that first"
                )


class PublishedRows:
    """The published rows that an analysis reads: `spec.analysis.Published`.

    Attributes:
        held_rows: whether anything that was read had rows, seeds aside. A list of what is amiss may then be empty.
    """

    def __init__(self, project: Project, analysis: Analysis, days: Window) -> None:
        self._project, self._analysis, self._days = project, analysis, days
        self.held_rows = False

    @property
    def days(self) -> Window:
        """The days that the analysis looks back on."""
        return self._days

    def rows(self, name: str, days: Window | None = None, before: Window | None = None) -> pl.DataFrame:
        """The rows of something that the analysis reads."""
        if name not in self._analysis.reads:
            raise ValueError(f"analysis {self._analysis.name} reads {name}, and does not declare it")
        days = days or self._days
        for span in filter(None, (before, days)):
            if span.end > self._days.end:
                raise ValueError(f"analysis {self._analysis.name} reads {name} on {span}, beyond its own {self._days}")
        if name in self._project.analyses:
            found = self._of_analysis(self._project.analyses[name])
            self.held_rows |= not found.is_empty()
            return found
        node, warehouse = self._project.manifest.made[name], self._project.warehouse
        # Seeds are not in the published copy. No run writes them meanwhile: that would need the pool of this step.
        with warehouse.reading() if node.is_seed else warehouse.reading_published() as reader:
            found = reader.frame(self._query(node, days, before))
        self.held_rows |= not (node.is_seed or found.is_empty())
        found = found.with_columns(pl.col(pl.Decimal).cast(pl.Float64))
        return found.sort(found.columns, nulls_last=True)  # a sum of fractions depends on their order

    def _query(self, node: ModelNode, days: Window, before: Window | None) -> str:
        if node.is_table_function:
            spans = filter(None, (before, days))
            arguments = ", ".join(f"date '{day}'" for span in spans for day in (span.start, max(span.days())))
            return f"select * from {node.relation_name}({arguments})"
        if not node.has_days:
            return f"select * from {node.relation_name}"
        passed = on_days(node.day, self._project.warehouse.published_days(node.name, days))
        return f"select * from {node.relation_name} where {between(node.day, days)} and ({passed})"

    def _of_analysis(self, analysis: Analysis) -> pl.DataFrame:
        day, asset, settings = max(self._days.days()), self._project.catalog[analysis.name], self._project.settings
        # The file of a table that failed since is still there, and is made from other rows than those of now.
        if day not in builds_of(asset, settings).read_what_is_there(asset.name, Window.of_days(day, day)):
            raise NotMade(f"{analysis.name} is not made as of {day}")
        file = export_of(settings, analysis.name, day, ENDING)
        return analysis.checked(_typed(from_csv(file.read_bytes()), analysis))


def _typed(table: pl.DataFrame, analysis: Analysis) -> pl.DataFrame:
    numbers = [name for name, kind in analysis.columns.items() if kind is Column.NUMBER]
    return table.with_columns(pl.col(numbers).cast(pl.Float64))


def _declaration(analysis: Analysis) -> list[str]:
    """What changes when the declaration does, or the code of the folder in which its functions stand."""
    said = [analysis.name, analysis.title, analysis.days, dict(analysis.columns), analysis.reads]
    functions: list[Callable[..., Any]] = [analysis.compute, *([analysis.text] if analysis.text else [])]
    folders = {Path(inspect.getfile(inspect.unwrap(function))).parent for function in functions}
    return [json.dumps(said), *(text for folder in sorted(folders) for text in texts_in(folder))]


def preview(table: pl.DataFrame) -> str:
    """The first rows of a table, in Markdown."""
    lines = [table.columns, ["---"] * table.width, *(map(_cell, row) for row in table.head(ROWS_SHOWN).rows())]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return text if table.height <= ROWS_SHOWN else f"{text}\n\nThe first {ROWS_SHOWN} of {table.height:,} rows."


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.6g}"
    return "" if value is None else in_markdown(str(value))
