"""The page of all reports as an asset, `report_index`: `index.html` beside the files of the reports.

Whatever writes a file of a report also writes this page anew, under a lock, from the facts and files that are there:
so it is never behind, and costs no run. The automation compares it with what it should be, and asks for a run only
where they differ: somebody deleted it, a report was taken out, or the dbt docs were written.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetsDefinition,
    AutomationCondition,
    AutomationContext,
    AutomationResult,
    MaterializeResult,
    MetadataValue,
    asset,
)

from analytics_assets.foundation.files import only_one, replacing, sweep
from analytics_assets.project import Project
from analytics_assets.reports.index_page import Entry, Facts, Index, Link, render
from analytics_assets.settings import PROJECT_DIR, Settings
from analytics_assets.spec.analysis import ENDING, TEXT_ENDING, Analysis
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.report import Report, ReportFile
from analytics_assets.state.builds import exports_lock, newest_export

INDEX = "report_index"

DBT_DOCS = PROJECT_DIR / "dbt_project" / "target" / "docs" / "index.html"
"""Where `make docs` writes the dbt docs."""

_LINK = "link"


def index_file(settings: Settings) -> Path:
    """Where the page lies."""
    return settings.exports_dir / "index.html"


def facts_file(settings: Settings, name: str) -> Path:
    """Where the facts of the newest file of an asset lie."""
    return _facts_folder(settings) / f"{name}.json"


def as_json(facts: Facts) -> bytes:
    """Facts as their file holds them."""
    return json.dumps(facts, allow_nan=False, indent=1).encode()


def leave_link(settings: Settings, name: str, link: str) -> None:
    """Replaces the address of a sheet, which is its only fact."""
    file = facts_file(settings, name)
    with only_one(exports_lock(settings)):
        file.parent.mkdir(parents=True, exist_ok=True)
        sweep(file.parent)
        with replacing(file) as temporary:
            temporary.write_bytes(as_json({_LINK: link}))


def write_index(project: Project) -> bool:
    """Writes the page anew if it differs from what it should be; returns whether it did."""
    file = index_file(project.settings)
    with only_one(exports_lock(project.settings)):  # who comes last sees what all have left
        page = _page(project)
        if _held(file) == page:
            return False
        sweep(file.parent)
        with replacing(file) as temporary:
            temporary.write_bytes(page)
    return True


def write_index_in(context: AssetExecutionContext, project: Project) -> None:
    """Writes the page anew in the step of a report, and notes it as made."""
    if write_index(project):
        context.log_event(AssetMaterialization(AssetKey(INDEX), metadata=_metadata(project.settings)))


class _Differs(AutomationCondition[AssetKey]):
    """True if the page differs from what it should be, once there is anything to show."""

    def __init__(self, project: Project) -> None:
        self._project = project

    @property
    def name(self) -> str:
        """Its name in the UI."""
        return "page_differs"

    def evaluate(self, context: AutomationContext[AssetKey]) -> AutomationResult[AssetKey]:
        """Looks at the files."""
        candidates = context.candidate_subset
        return AutomationResult(context, candidates if differs(self._project) else context.get_empty_subset())


def differs(project: Project) -> bool:
    """Whether the page differs from what it should be; not before there is anything to show."""
    settings = project.settings
    return any(_facts_folder(settings).glob("*.json")) and _held(index_file(settings)) != _page(project)


def build_index_asset(project: Project, reads: Sequence[AssetKey]) -> AssetsDefinition:
    """Builds `report_index`.

    Args:
        reads: the assets of all reports and analyses.
    """
    running = AutomationCondition.in_progress()
    condition = _Differs(project) & ~running & ~AutomationCondition.any_deps_match(running)

    @asset(
        name=INDEX,
        group_name="reports",
        kinds={"html"},
        description="The page of all reports: what each is as of, what is amiss, and its first figures by day.",
        deps=list(reads),
        automation_condition=(condition & ~AutomationCondition.execution_failed()).with_label("page differs"),
    )
    def report_index() -> MaterializeResult:
        write_index(project)
        return MaterializeResult(metadata=_metadata(project.settings))

    return report_index


def _metadata(settings: Settings) -> Mapping[str, Any]:
    return {"file": MetadataValue.path(str(index_file(settings)))}


# ------------------------------------------------------------------------------------------------- what is there


def _facts_folder(settings: Settings) -> Path:
    return settings.exports_dir / ".facts"


def _facts(settings: Settings, name: str) -> Facts | None:
    """What an asset has left; None if it has left nothing, or if somebody has damaged it."""
    with suppress(OSError, ValueError):
        return json.loads(facts_file(settings, name).read_bytes())
    return None


def _held(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _page(project: Project) -> bytes:
    settings = project.settings
    declared = [(domain, report) for domain in project.domains for report in domain.reports]
    entries = [_entry(settings, domain, report) for domain, report in declared]
    shown = {dataset.model for _, report in declared for dataset in report.datasets}
    others = [one for domain in project.domains for one in domain.analyses if one.name not in shown]
    index = Index(
        reports=[entry for entry in entries if entry.dashboard or entry.links],
        tables=[link for one in others for link in _tables(settings, one)],
        elsewhere=_elsewhere(settings),
    )
    return render(index).encode()


def _entry(settings: Settings, domain: Domain, report: Report) -> Entry:
    dashboard, workbook, sheet = (file.asset(report.name) for file in ReportFile)
    shown = {dataset.model for dataset in report.datasets}
    sent = _facts(settings, sheet) or {}
    return Entry(
        report.name,
        report.title,
        next((link.address for link in _file(settings, dashboard, ReportFile.DASHBOARD.ending, "")), ""),
        [
            *_file(settings, workbook, ReportFile.WORKBOOK.ending, "Workbook"),
            *([Link(sent[_LINK], "Google Sheet")] if sent.get(_LINK) else []),
            *(link for one in domain.analyses if one.name in shown for link in _tables(settings, one)),
        ],
        _facts(settings, dashboard),
        report.timezone,
        domain.calendar.last_day(settings),
    )


def _tables(settings: Settings, analysis: Analysis) -> list[Link]:
    endings = (ENDING, TEXT_ENDING) if analysis.text else (ENDING,)
    return [
        link
        for ending in endings
        for link in _file(settings, analysis.name, ending, f"{analysis.title} ({ending.upper()})")
    ]


def _file(settings: Settings, name: str, ending: str, text: str) -> list[Link]:
    """A link to the newest file of an asset, if there is one."""
    file = newest_export(settings, name, ending)
    return [Link(file.name, text)] if file.is_file() else []


def _elsewhere(settings: Settings) -> list[Link]:
    """The dbt docs, if they are written and lie in the same clone, so that a relative address leads to them."""
    exports = settings.exports_dir.resolve()
    if not DBT_DOCS.is_file() or not exports.is_relative_to(PROJECT_DIR):
        return []
    return [Link(Path(os.path.relpath(DBT_DOCS, exports)).as_posix(), "The dbt docs: every model and column")]
