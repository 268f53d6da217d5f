"""The raw days of a source: which pieces each day holds. `warehouse/raw_day_writer.py` writes them."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import polars as pl
from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetDep,
    AssetExecutionContext,
    AssetsDefinition,
    BackfillPolicy,
    Output,
    TableColumn,
    TableColumnConstraints,
    TableSchema,
    asset,
)

from analytics_assets.automation.steps import dagster_error, fail
from analytics_assets.dagster_internals import add_partition_metadata
from analytics_assets.foundation.files import Damaged
from analytics_assets.ingest.landing import piece_file
from analytics_assets.ingest.rejects import IN_THE_REJECTS, why_rejected
from analytics_assets.partitions import Window, partitioned_days
from analytics_assets.project import Project
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.source import Source
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.builds import Build, days_without_partition
from analytics_assets.state.check_results import CheckResults, Evaluation, as_result, over_all_days
from analytics_assets.state.ledger import Ledger, Piece, version_of
from analytics_assets.warehouse.raw_day_writer import LakeDay, take_out

DAYS_EXPLAINED = 5
"""Of so many days with too many rejects, the newest, it is said why: the rejects are read for that."""

CODE_VERSION = "1"
"""The code version of raw days: raise it when the same pieces would make other rows."""


def build_raw_asset(project: Project, domain: Domain, source: Source) -> AssetsDefinition:
    """`raw_<source>`: the rows as they landed, one partition per day."""
    name, settings, automation = source.raw_asset, project.settings, project.automation
    asset_of = project.catalog[name]

    def planned(
        window: Window, run_id: str
    ) -> tuple[dict[str, LakeDay], Mapping[date, int], Mapping[date, list[Piece]]]:
        """The days as they should be, each with its rejected rows and its pieces."""
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
        partitions_def=project.partitions(domain.calendar),
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
            fail(settings, [name], window, context.run_id, error)
            raise dagster_error(context, settings, error) from error
        add_partition_metadata(
            context,
            context.asset_key,
            {
                day.isoformat(): {
                    "dagster/partition_row_count": days[day.isoformat()].expected_rows,
                    "rows_rejected": rejected.get(day, 0),
                    "pieces": len(pieces[day]),
                }
                for day in window.days()
            },
        )
        yield Output(days)  # the IO manager writes them here
        Attempts(settings.lake_dir).end(name, window.days())
        too_many = {
            day: rows + rejected[day]
            for day, rows in ((day, days[day.isoformat()].expected_rows) for day in sorted(rejected))
            if rejected[day] > settings.reject_ratio * (rows + rejected[day])
        }
        identities = list(Ledger(settings.lake_dir).identities(source).values()) if too_many else []
        explained = sorted(too_many, reverse=True)[:DAYS_EXPLAINED]
        why = dict.fromkeys(too_many, IN_THE_REJECTS)
        why |= {day: said for day in explained if (said := why_rejected(settings, source, identities, day))}
        objections = {day: f"rows {rows}, rejected {rejected[day]}: {why[day]}" for day, rows in too_many.items()}
        evaluation = Evaluation(name, "rejects_within_limit", objections, is_error=True)
        result = as_result(
            evaluation.name,
            [
                {"day": str(day), "rows": rows, "rejected": rejected[day], "why": why[day]}
                for day, rows in too_many.items()
            ],
            AssetCheckSeverity.ERROR,
        )
        partitions = partitioned_days(settings, datetime.now(UTC), source.calendar)
        failed = CheckResults(settings.lake_dir).failures_after(evaluation, window, partitions)
        yield over_all_days(result, failed, window)

    return raw


def rows_of_pieces(files: list[Path], source: Source) -> pl.LazyFrame:
    """The rows of some pieces; a column that a piece lacks, because the piece is older than the spec, is null.

    Raises:
        Damaged: a piece is not as it was landed, or is missing.
    """
    if not files:
        return pl.LazyFrame(schema=dict(source.schema))
    for file in files:
        _require_whole(file)
    pieces = pl.concat([pl.scan_parquet(file, glob=False) for file in files], how="diagonal_relaxed")
    held = pieces.collect_schema()
    return pieces.select(
        (pl.col(name).cast(dtype) if name in held else pl.lit(None, dtype).alias(name))
        for name, dtype in source.schema.items()
    )


def _require_whole(piece: Path) -> None:
    """Compares a piece with the hash in its name: Parquet, as it is written here, has no checksums of its own.

    A flipped bit leads to wrong rows more often than to an error.
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
