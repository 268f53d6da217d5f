"""The asset of a source's files: what a run landed, where all rows are, and which files have faults."""

import os
from collections.abc import Iterator, Mapping, Set
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetDep,
    AssetExecutionContext,
    AssetsDefinition,
    MaterializeResult,
    asset,
)

from analytics_assets.automation.steps import dagster_error
from analytics_assets.ingest.landing import Landing, LandingReport
from analytics_assets.ingest.rejects import IN_THE_REJECTS, why_rejected
from analytics_assets.partitions import partitioned_days
from analytics_assets.project import Project
from analytics_assets.settings import Settings
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.source import UNDATED, Kind, Source
from analytics_assets.state.check_results import as_result
from analytics_assets.state.ledger import Ledger, Totals

FILES_EXPLAINED = 5
"""Of so many files with too many rejects it is said why: their rejects are read for that."""

SPEC_HAS_CHANGED = "its spec has changed since its files were read; raise its `version` to read them again"

_ERROR = AssetCheckSeverity.ERROR
T = TypeVar("T")


def build_landed_asset(project: Project, domain: Domain, source: Source) -> AssetsDefinition:
    """`landed_<source>`: each file in the inbox, landed once."""
    name, settings = source.landed_asset, project.settings
    dropped_by = [extract.asset for extract in domain.extracts if extract.source == source]

    @asset(
        name=name,
        group_name=domain.name,
        owners=[domain.owner],
        kinds={"file", "parquet"},
        tags=project.catalog[name].tags,
        deps=[AssetDep(asset_name) for asset_name in dropped_by],
        description=f"Files of {source.name} in the inbox, each landed once. {source.description}",
        check_specs=[
            AssetCheckSpec("files_are_readable", asset=name, description="Every file could be read."),
            AssetCheckSpec(
                "rejects_within_limit", asset=name, description="No file has more rejected rows than is allowed."
            ),
            AssetCheckSpec(
                "records_end_where_they_should",
                asset=name,
                description="No reject spans several lines, as where a quote that is not closed swallowed records.",
            ),
            AssetCheckSpec("columns_are_known", asset=name, description="No file has columns that the spec lacks."),
            AssetCheckSpec("names_are_expected", asset=name, description="Nothing else lies in the inbox folder."),
            AssetCheckSpec(
                "spec_is_as_it_was", asset=name, description="The spec reads every file as it did when that landed."
            ),
            *(
                [
                    AssetCheckSpec(
                        "snapshots_have_one_name",
                        asset=name,
                        description="No two files in the inbox hold from one day on: of such only the newer counts.",
                    )
                ]
                if source.kind is Kind.SNAPSHOT
                else []
            ),
        ],
    )
    def landed(context: AssetExecutionContext) -> Iterator[MaterializeResult | AssetCheckResult]:
        try:
            report = Landing(settings, source).run()
        except Exception as error:
            raise dagster_error(context, settings, error) from error
        totals = Ledger(settings.lake_dir).totals(
            source, partitioned_days(settings, datetime.now(UTC), source.calendar)
        )
        yield MaterializeResult(metadata=_landing_metadata(report, totals))
        yield from file_checks(
            source, settings, closed=report.closed, ignored=report.ignored, landed=report.landed.keys()
        )

    return landed


def _landing_metadata(report: LandingReport, totals: Totals) -> dict[str, Any]:
    days = sorted({piece.day for content in report.landed.values() for piece in content.pieces})
    future = sum(p.rows for c in report.landed.values() for p in c.pieces if p.day > c.landed_at.date())
    return {
        "files_landed": len(report.landed),
        "files_known": len(report.known),
        "files_still_being_written": len(report.unsettled),
        "files_left_for_the_next_run": report.remaining,
        "rows_landed": sum(c.accepted_rows for c in report.landed.values()),
        "rows_rejected": sum(c.rejected_rows for c in report.landed.values()),
        "rows_rejected_without_a_day": sum(c.rejected.get(None, 0) for c in report.landed.values()),
        "rows_from_the_future": future,
        "days_touched": f"{len(days)}: {days[0]} to {days[-1]}" if days else "0",
        "all_rows_accepted": totals.accepted,
        "all_rows_in_days": totals.in_days,
        "all_rows_waiting": totals.waiting,
        "all_rows_superseded": totals.superseded,
    }


def read_by_another_spec(source: Source, settings: Settings) -> list[str]:
    """The files in the inbox that landed before the spec changed; none once its version was raised."""
    folder = settings.inbox_dir / source.name
    return [path for path in Ledger(settings.lake_dir).read_by_another_spec(source) if os.path.lexists(folder / path)]


def file_checks(
    source: Source,
    settings: Settings,
    *,
    closed: Mapping[str, str],
    ignored: Mapping[str, str],
    landed: Set[str] = frozenset(),
) -> Iterator[AssetCheckResult]:
    """The checks of a source's files as they now lie in the inbox: a file's faults count until it is gone.

    Args:
        closed: folders that could not be listed, with the reason.
        ignored: what lies in the inbox but is not a file of the source, with the reason.
        landed: the paths that this run landed. A fault of another file does not fail the run.
    """
    ledger, folder = Ledger(settings.lake_dir), settings.inbox_dir / source.name

    def that_lie_there(found: Mapping[str, T]) -> dict[str, T]:
        return {path: value for path, value in found.items() if os.path.lexists(folder / path)}

    unreadable = {**closed, **that_lie_there(ledger.unreadable(source))}
    yield as_result("files_are_readable", [{"file": path, "why": why} for path, why in unreadable.items()], _ERROR)
    faults = that_lie_there(ledger.faults(source))

    def of_faults(
        name: str, findings: list[dict[str, str | int]], severity: AssetCheckSeverity = AssetCheckSeverity.WARN
    ) -> AssetCheckResult:
        return as_result(name, findings, severity, here=sum(finding["file"] in landed for finding in findings))

    too_many: list[dict[str, str | int]] = [
        {"file": path, "rows": of_file.all_rows, "rejected": of_file.rejected_rows, "why": IN_THE_REJECTS}
        for path, of_file in faults.items()
        if of_file.rejected_rows > settings.reject_ratio * of_file.all_rows
    ]
    identities = ledger.identities(source) if too_many else {}
    for finding in too_many[:FILES_EXPLAINED]:
        if why := why_rejected(settings, source, [identities[str(finding["file"])]]):
            finding["why"] = why
    yield of_faults("rejects_within_limit", too_many, _ERROR)
    yield of_faults(
        "records_end_where_they_should",
        [
            {"file": path, "row": row, "lines": lines}
            for path, of_file in faults.items()
            for row, lines in of_file.swallowed.items()
        ],
        _ERROR,
    )
    yield of_faults(
        "columns_are_known",
        [
            {"file": path, "columns": ", ".join(of_file.unknown_columns)}
            for path, of_file in faults.items()
            if of_file.unknown_columns
        ],
    )
    yield as_result("names_are_expected", [{"file": path, "why": why} for path, why in sorted(ignored.items())])
    otherwise = read_by_another_spec(source, settings)
    changed: dict[str, str | int] = {
        "files": len(otherwise),
        "first": next(iter(otherwise), ""),
        "why": SPEC_HAS_CHANGED,
    }
    yield as_result("spec_is_as_it_was", [changed] if otherwise else [], here=0)
    if source.kind is Kind.SNAPSHOT:
        replaced: list[dict[str, str | int]] = [
            {"file": path, "why": f"{newest} is newer and holds {_since(day)}, too: take this one out of the inbox"}
            for day, (newest, others) in ledger.replaced_snapshots(source).items()
            for path in others
            if os.path.lexists(folder / path)
        ]
        yield as_result("snapshots_have_one_name", replaced)


def _since(day: date) -> str:
    return "from the start" if day == UNDATED else f"from {day} on"
