"""Where every row of a source is, counted in the files and tables themselves and held against the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl

from analytics_assets.ingest.ledger import Ledger
from analytics_assets.ingest.source import Kind, Source
from analytics_assets.partitions import Window, partitioned_days
from analytics_assets.settings import Settings
from analytics_assets.versions import RAW_PREFIX
from analytics_assets.warehouse.dbt import load_manifest
from analytics_assets.warehouse.warehouse import NotMade, Reader, between, warehouse_of


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
    totals = Ledger(settings.lake_dir).totals(source, partitioned_days(settings, now))
    files = sorted((settings.raw_dir / (RAW_PREFIX + source.name)).glob("_day=*/data.parquet"))
    not_made = f"nothing of {source.name} is made yet; run `analytics-assets materialize --new` first"
    if not files:
        raise ValueError(not_made)
    raw_rows = pl.concat([pl.scan_parquet(file, glob=False).select("_source_file", "_source_row") for file in files])
    raw = raw_rows.select(pl.len()).collect().item()
    # A snapshot stands in every day that it is carried to: what was landed is one row a record.
    once = raw_rows.unique().select(pl.len()).collect().item() if source.kind is Kind.SNAPSHOT else raw
    try:
        with warehouse_of(settings).reading() as reader:
            src, stg = (_count(reader, settings, f"{layer}_{source.name}") for layer in ("src", "stg"))
            duplicates = _count(reader, settings, f"src_{source.name}", "duplicate_rank > 1")
    except NotMade as error:
        raise ValueError(not_made) from error
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


def waiting_rows(source: Source, settings: Settings, now: datetime) -> list[str]:
    """A sentence for the rows that wait before the first partition, after the last one, and for days to come.

    Rows of today are no matter: they come in when it is over.

    Args:
        now: an aware UTC time.
    """
    waiting = Ledger(settings.lake_dir).waiting(source, partitioned_days(settings, now))
    first, last = settings.start_date, settings.end_date
    early = {day: rows for day, rows in waiting.items() if day < first}
    late = {day: rows for day, rows in waiting.items() if last and day > last}
    to_come = {day: rows for day, rows in waiting.items() if day > now.date() and day not in late}
    found = []
    if early:
        found.append(
            f"{_rows_of(early)} wait: the first partition is {first}; "
            f"set ANALYTICS_START_DATE to {min(early)} to let all of them in"
        )
    if late:
        found.append(
            f"{_rows_of(late)} wait: the last partition is {last}; "
            f"set ANALYTICS_END_DATE to {max(late)}, or leave it empty, to let all of them in"
        )
    if to_come:
        found.append(f"{_rows_of(to_come)} wait until these days, which are still to come, are over")
    return found


def _rows_of(days: Mapping[date, int]) -> str:
    rows = sum(days.values())
    span = f"{min(days)}" if len(days) == 1 else f"{min(days)} to {max(days)}"
    return f"{rows:,} row{'s' if rows != 1 else ''} of {span}"


def _count(reader: Reader, settings: Settings, model: str, condition: str = "true") -> int:
    node = load_manifest(settings)["nodes"][f"model.analytics.{model}"]
    days = Window(settings.start_date, date.max)  # a table may refuse to be read without its days
    where = f"{between(node['config']['meta']['day'], days)} and {condition}"
    return int(reader.rows(f"select count(*) from {node['relation_name']} where {where}").rows[0][0])
