"""From a source's spec to its Dagster assets: what landed, the raw days, and their checks."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetDep,
    AssetExecutionContext,
    AssetsDefinition,
    BackfillPolicy,
    MaterializeResult,
    MetadataValue,
    Output,
    TableColumn,
    TableColumnConstraints,
    TableRecord,
    TableSchema,
    asset,
)

from analytics_assets.automation.steps import dagster_error, fail
from analytics_assets.foundation.files import Damaged
from analytics_assets.ingest.landing import Landing, LandingReport, piece_file
from analytics_assets.partitions import Window, partitioned_days
from analytics_assets.project import Project
from analytics_assets.settings import Settings
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.source import UNDATED, Kind, Source
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.builds import Build, days_without_partition
from analytics_assets.state.check_results import CheckResults, Evaluation, FailedCheck, over_all_days
from analytics_assets.state.ledger import Ledger, Piece, Totals, version_of
from analytics_assets.warehouse.lake import LakeDay, take_out

CODE_VERSION = "1"
"""Of the raw days: raise it when the same pieces would make other rows."""

_ERROR = AssetCheckSeverity.ERROR


def build_source_assets(project: Project, domain: Domain, source: Source) -> list[AssetsDefinition]:
    """The landing of a source and its raw days."""
    return [_landed_asset(project, domain, source), _raw_asset(project, domain, source)]


# ------------------------------------------------------------------------------------------------------ landing


def _landed_asset(project: Project, domain: Domain, source: Source) -> AssetsDefinition:
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
        ledger = Ledger(settings.lake_dir)
        totals = ledger.totals(source, partitioned_days(settings, datetime.now(UTC)))
        yield MaterializeResult(metadata=_landing_metadata(report, totals))
        yield from _landing_checks(source, settings, ledger, report)

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


def _landing_checks(
    source: Source, settings: Settings, ledger: Ledger, report: LandingReport
) -> Iterator[AssetCheckResult]:
    """What is wrong with the files of this run; and with unreadable ones for as long as they lie in the inbox."""
    folder = settings.inbox_dir / source.name
    unreadable = report.closed | {p: why for p, why in ledger.unreadable(source).items() if os.path.lexists(folder / p)}
    yield _check("files_are_readable", [{"file": path, "why": why} for path, why in unreadable.items()], _ERROR)
    yield _check(
        "rejects_within_limit",
        [
            {"file": path, "rows": content.all_rows, "rejected": content.rejected_rows}
            for path, content in report.landed.items()
            if content.rejected_rows > settings.reject_ratio * content.all_rows
        ],
        _ERROR,
    )
    yield _check(
        "records_end_where_they_should",
        [
            {"file": path, "row": row, "lines": lines}
            for path, content in report.landed.items()
            for row, lines in content.swallowed.items()
        ],
        _ERROR,
    )
    yield _check(
        "columns_are_known",
        [
            {"file": path, "columns": ", ".join(content.unknown_columns)}
            for path, content in report.landed.items()
            if content.unknown_columns
        ],
    )
    yield _check("names_are_expected", [{"file": path, "why": why} for path, why in sorted(report.ignored.items())])
    if source.kind is Kind.SNAPSHOT:
        replaced: list[dict[str, str | int]] = [
            {"file": path, "why": f"{newest} is newer and holds {_since(day)}, too: take this one out of the inbox"}
            for day, (newest, others) in ledger.replaced_snapshots(source).items()
            for path in others
            if os.path.lexists(folder / path)
        ]
        yield _check("snapshots_have_one_name", replaced)


def _since(day: date) -> str:
    return "from the start" if day == UNDATED else f"from {day} on"


def _check(
    name: str, findings: list[dict[str, str | int]], severity: AssetCheckSeverity = AssetCheckSeverity.WARN
) -> AssetCheckResult:
    shown = [TableRecord(finding) for finding in findings[:100]]
    return AssetCheckResult(
        check_name=name,
        passed=not findings,
        severity=severity,
        metadata={"findings": len(findings), **({"first": MetadataValue.table(shown)} if shown else {})},
    )


# ---------------------------------------------------------------------------------------------------------- raw


def _raw_asset(project: Project, domain: Domain, source: Source) -> AssetsDefinition:
    name, settings, automation = source.raw_asset, project.settings, project.automation
    asset_of = project.catalog[name]

    def planned(
        window: Window, run_id: str
    ) -> tuple[dict[str, LakeDay], Mapping[date, int], Mapping[date, list[Piece]]]:
        """The days as they should be, with rejected rows and pieces of each."""
        ledger = Ledger(settings.lake_dir)
        pieces, rejected = ledger.pieces(source, window), ledger.rejected(source, window)
        builds = {day: Build(version_of(pieces[day]), CODE_VERSION) for day in window.days()}
        Attempts(settings.lake_dir).begin(name, builds, run_id)
        take_out(settings.raw_dir, name, days_without_partition(asset_of, settings))
        days = {
            day.isoformat(): LakeDay(
                rows=partial(rows_of_pieces, [piece_file(settings, source, piece) for piece in pieces[day]], source),
                expected_rows=sum(piece.rows for piece in pieces[day]),
                build=builds[day],
                source=source,
            )
            for day in window.days()
        }
        return days, rejected, pieces

    @asset(
        name=name,
        group_name=domain.name,
        owners=[domain.owner],
        kinds={"polars", "parquet"},
        tags=project.catalog[name].tags,
        description=f"The rows of {source.name} as they were landed, by day. {source.description}",
        deps=[AssetDep(source.landed_asset)],
        partitions_def=project.partitions,
        backfill_policy=BackfillPolicy.single_run(),
        io_manager_key="lake",
        code_version=CODE_VERSION,
        automation_condition=automation.raw(),
        check_specs=[
            AssetCheckSpec(
                "rejects_within_limit",
                asset=name,
                description="No day has more rejected rows than is allowed.",
                automation_condition=automation.with_its_asset(),
            )
        ],
        metadata={"dagster/column_schema": _column_schema(source)},
    )
    def raw(context: AssetExecutionContext) -> Iterator[Output[dict[str, LakeDay]] | AssetCheckResult]:
        window = Window.of_run(context)
        try:
            days, rejected, pieces = planned(window, context.run_id)
        except Exception as error:
            fail(settings, [name], window, error)
            raise dagster_error(context, settings, error) from error
        for day in window.days():
            context.add_asset_metadata(
                asset_key=context.asset_key,
                partition_key=day.isoformat(),
                metadata={
                    "dagster/partition_row_count": days[day.isoformat()].expected_rows,
                    "rows_rejected": rejected.get(day, 0),
                    "pieces": len(pieces[day]),
                },
            )
        yield Output(days)  # and here they are written, by the IO manager
        Attempts(settings.lake_dir).end(name, window.days())
        too_many = {
            day: rows + rejected[day]
            for day, rows in ((day, days[day.isoformat()].expected_rows) for day in sorted(rejected))
            if rejected[day] > settings.reject_ratio * (rows + rejected[day])
        }
        objections = {day: f"rows {rows}, rejected {rejected[day]}" for day, rows in too_many.items()}
        evaluation = Evaluation(name, "rejects_within_limit", objections, is_error=True)
        result = _check(
            evaluation.name,
            [{"day": str(day), "rows": rows, "rejected": rejected[day]} for day, rows in too_many.items()],
            _ERROR,
        )
        yield over_all_days(result, _recorded(settings, window, evaluation), window)

    return raw


def _recorded(settings: Settings, window: Window, evaluation: Evaluation) -> FailedCheck | None:
    findings = CheckResults(settings.lake_dir)
    findings.record(window, [evaluation])
    return findings.read(partitioned_days(settings, datetime.now(UTC))).get((evaluation.asset, evaluation.name))


def rows_of_pieces(files: list[Path], source: Source) -> pl.LazyFrame:
    """The rows of some pieces; a column that a piece lacks, because it is older than the spec, is null.

    Raises:
        Damaged: a piece is not as it was landed, or not there.
    """
    if not files:
        return pl.LazyFrame(schema=dict(source.schema))
    for file in files:
        _see_that_it_is_whole(file)
    pieces = pl.concat([pl.scan_parquet(file, glob=False) for file in files], how="diagonal_relaxed")
    held = pieces.collect_schema()
    return pieces.select(
        (pl.col(name).cast(dtype) if name in held else pl.lit(None, dtype).alias(name))
        for name, dtype in source.schema.items()
    )


def _see_that_it_is_whole(piece: Path) -> None:
    """Holds a piece against the hash in its name: Parquet as it is written here has no checksums of its own.

    A flipped bit gives other rows more often than an error.
    """
    try:
        with piece.open("rb") as file:
            is_whole = hashlib.file_digest(file, "sha256").hexdigest() == piece.stem
    except (FileNotFoundError, IsADirectoryError):
        is_whole = False
    if not is_whole:
        raise Damaged(f"the landed piece {piece} is damaged or gone: restore it from a backup")


def _column_schema(source: Source) -> TableSchema:
    return TableSchema(
        columns=[
            TableColumn(
                name,
                str(dtype() if isinstance(dtype, type) else dtype),
                constraints=TableColumnConstraints(nullable=name not in source.required),
            )
            for name, dtype in source.schema.items()
        ]
    )
