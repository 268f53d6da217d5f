"""What a domain is: one kind of work, with everything that belongs to it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from analytics_assets.partitions import Calendar, Window
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
        timezone: of its days: a row stands on the local date of its time. Domains that read each other share one.
        first_day, last_day: the first and last day that have a partition; None for those of the settings.
        is_demo: whether it is there for the demo, which writes its sample files.

    Raises:
        ValueError: its last day is before its first; a report shows an analysis that the domain lacks, or columns that
            it lacks; or an analysis reads one that is not declared before it.
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
    timezone: str = "UTC"
    first_day: date | None = None
    last_day: date | None = None
    is_demo: bool = False

    @property
    def calendar(self) -> Calendar:
        """Its days."""
        return Calendar(self.first_day, self.last_day, self.timezone)

    def _share_calendar(self) -> None:
        """Gives what it declares its days: they are said once."""
        ZoneInfo(self.timezone)
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise ValueError(
                f"domain {self.name}: its last day, {self.last_day}, is before its first, {self.first_day}"
            )

        def placed(source: Source) -> Source:
            return source if source.calendar == self.calendar else replace(source, calendar=self.calendar)

        if all(one.calendar == self.calendar for one in self.sources) and all(
            one.timezone == self.timezone for one in self.reports
        ):
            return
        shared = {
            "sources": tuple(placed(source) for source in self.sources),
            "extracts": tuple(replace(extract, source=placed(extract.source)) for extract in self.extracts),
            "reports": tuple(replace(report, timezone=self.timezone) for report in self.reports),
        }
        for name, value in shared.items():
            object.__setattr__(self, name, value)

    def __post_init__(self) -> None:
        self._share_calendar()
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
