"""What a domain is: one kind of work, with everything that belongs to it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from analytics_assets.partitions import Window
from analytics_assets.spec.analysis import Analysis, Column
from analytics_assets.spec.extract import Extract
from analytics_assets.spec.report import Report
from analytics_assets.spec.source import Source

if TYPE_CHECKING:
    from dagster import Definitions

    from analytics_assets.project import Project


@dataclass(frozen=True)
class Domain:
    """One kind of work. It is found without a list of domains: `defs/<name>/__init__.py` names one `DOMAIN`.

    A domain's own commands are the Typer app `commands` in `defs/<name>/commands.py`; `analytics-assets` shows them.

    Attributes:
        name: also the folder of its dbt models, and the group of its assets.
        owner: who is responsible for its assets, as `team:<name>` or a mail address.
        sources: the files that land for it.
        extracts: the APIs that are pulled for it; each drops files of one of the sources.
        analyses: its tables that are computed in Python, as of a day.
        reports: its dashboards, workbooks and sheets.
        simulate: writes sample files of its sources into the inbox; optional.
        demo: serves the API that the demo pulls, as long as its block lasts; yields environment variables that name it.
        definitions: its own assets, checks, resources, schedules and other Dagster definitions.

    Raises:
        ValueError: a report shows an analysis that the domain lacks, or columns that it lacks; or an analysis reads one
            that is not declared before it.
    """

    name: str
    owner: str
    sources: Sequence[Source] = ()
    extracts: Sequence[Extract] = ()
    analyses: Sequence[Analysis] = ()
    reports: Sequence[Report] = ()
    simulate: Callable[[Path, Window, float, Random], None] = lambda inbox_dir, window, scale, random: None
    demo: Callable[[Window], AbstractContextManager[Mapping[str, str]]] | None = None
    definitions: "Callable[[Project], Definitions] | None" = None

    def __post_init__(self) -> None:
        analyses = {one.name: one for one in self.analyses}
        for report in self.reports:
            for dataset in (one for part in report.parts for one in part.datasets if one.is_analysis):
                if dataset.model not in analyses:
                    there_is = ", ".join(analyses) or "none"
                    raise ValueError(
                        f"report {report.name}: there is no analysis {dataset.model!r}; there is {there_is}"
                    )
                columns = analyses[dataset.model].columns
                for kind, names in ((Column.TEXT, dataset.dimensions), (Column.NUMBER, dataset.numbers)):
                    if lacking := [name for name in names if columns.get(name) is not kind]:
                        raise ValueError(
                            f"report {report.name}: the analysis {dataset.model} has no column of {kind}s named "
                            f"{', '.join(lacking)}"
                        )
        declared = [*analyses]
        for place, analysis in enumerate(self.analyses):
            if later := [name for name in analysis.reads if name in declared[place:]]:
                raise ValueError(f"analysis {analysis.name} reads {later[0]}, which must be declared before it")
