"""Where every row of a source is, counted in the files and tables themselves and held against the ledger."""

from dataclasses import dataclass, field
from datetime import datetime

import duckdb
import polars as pl

from analytics_assets.ingest.ledger import Ledger
from analytics_assets.ingest.source import Kind, Source
from analytics_assets.partitions import partitioned_days
from analytics_assets.settings import Settings
from analytics_assets.versions import RAW_PREFIX


@dataclass
class Balance:
    """Rows of a source; of a snapshot, `raw`, `src` and `stg` hold a row for each day that carries it forward.

    Attributes:
        accepted: all rows that ever landed and were not rejected.
        raw: rows in the raw days, counted in their files.
        waiting: rows of days that have no partition.
        superseded: rows of contents that were replaced under their path.
        rejected: rows that went to the rejects.
        src, stg: rows in the staging models.
        duplicates: rows of src that stg leaves out.
        faults: a sentence for each equation that does not hold.
    """

    accepted: int
    raw: int
    waiting: int
    superseded: int
    rejected: int
    src: int
    stg: int
    duplicates: int
    faults: list[str] = field(default_factory=list)


def balance_of(source: Source, settings: Settings, now: datetime) -> Balance:
    """Counts the rows of a source at each station.

    Raises:
        ValueError: there is no raw day yet.
    """
    totals = Ledger(settings.lake_dir).totals(source, partitioned_days(settings.start_date, now))
    files = sorted((settings.raw_dir / (RAW_PREFIX + source.name)).glob("_day=*/data.parquet"))
    if not files or not settings.warehouse_file.exists():
        raise ValueError(f"nothing of {source.name} is made yet; run `analytics-assets materialize --new` first")
    raw_rows = pl.concat([pl.scan_parquet(file, glob=False).select("_source_file", "_source_row") for file in files])
    raw = raw_rows.select(pl.len()).collect().item()
    # A snapshot stands in every day that it is carried to: what was landed is one row a record.
    once = raw_rows.unique().select(pl.len()).collect().item() if source.kind is Kind.SNAPSHOT else raw
    with duckdb.connect(str(settings.warehouse_file), read_only=True) as connection:
        src, stg = (_count(connection, f"{layer}_{source.name}") for layer in ("src", "stg"))
        duplicates = _count(connection, f"src_{source.name}", "where duplicate_rank > 1")
    found = Balance(totals.accepted, raw, totals.waiting, totals.superseded, totals.rejected, src, stg, duplicates)
    for holds, sentence in (
        (
            totals.accepted == once + totals.waiting + totals.superseded,
            f"accepted {totals.accepted} is not raw {once} + waiting {totals.waiting} + superseded {totals.superseded}",
        ),
        (src == raw, f"src {src} is not raw {raw}"),
        (stg == src - duplicates, f"stg {stg} is not src {src} less {duplicates} duplicates"),
    ):
        if not holds:
            found.faults.append(f"{source.name}: {sentence}; are there days that `materialize --new` would make?")
    return found


def _count(connection: duckdb.DuckDBPyConnection, model: str, where: str = "") -> int:
    row = connection.execute(f'select count(*) from staging."{model}" {where}').fetchone()
    return int(row[0]) if row else 0
