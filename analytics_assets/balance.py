"""Where every row of a source is, counted in the files and tables themselves and held against the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl

from analytics_assets.ingest.ledger import Ledger, wanted_versions
from analytics_assets.ingest.source import Kind, Source
from analytics_assets.partitions import Window, partitioned_days
from analytics_assets.settings import Settings
from analytics_assets.versions import RAW_PREFIX, builds_of
from analytics_assets.warehouse.dbt import load_manifest
from analytics_assets.warehouse.warehouse import NotMade, Reader, between, warehouse_of


@dataclass
class Balance:
    """Rows of a source; of a snapshot, `raw`, `src` and `stg` hold a row for each day that carries it forward.

    What has not been made yet is None.

    Attributes:
        records: all records of the files that ever landed: accepted + rejected.
        accepted: all rows that ever landed and were not rejected.
        rejected: rows that went to the rejects.
        waiting: rows of days that have no partition.
        superseded: rows of contents that were replaced under their path.
        raw: rows in the raw days, counted in their files.
        src, stg: rows in the staging models.
        duplicates: rows of src that stg leaves out.
        unmade: a sentence for each station of which days are not made, so that it cannot be judged.
        faults: a sentence for each equation that does not hold.
    """

    accepted: int
    rejected: int
    waiting: int
    superseded: int
    raw: int | None = None
    src: int | None = None
    stg: int | None = None
    duplicates: int | None = None
    unmade: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def records(self) -> int:
        """All records of the files that ever landed."""
        return self.accepted + self.rejected


def balance_of(source: Source, settings: Settings, now: datetime) -> Balance:
    """Counts the rows of a source at each station, as far as they are made."""
    ledger, window = Ledger(settings.lake_dir), partitioned_days(settings, now)
    totals = ledger.totals(source, window)
    found = Balance(totals.accepted, totals.rejected, totals.waiting, totals.superseded)
    once = _count_raw(source, settings, found)
    src, stg, raw = f"src_{source.name}", f"stg_{source.name}", f"{RAW_PREFIX}{source.name}"
    try:
        with warehouse_of(settings).reading() as reader:
            found.src = _count(reader, settings, src)
            found.duplicates = _count(reader, settings, src, "duplicate_rank > 1")
            found.stg = _count(reader, settings, stg)
    except NotMade:
        pass  # said below, with the days

    wanted, made = wanted_versions(ledger, source, window), builds_of(raw, settings).read(raw, window)
    stale = {raw: sum(day not in made or made[day].inputs != version for day, version in wanted.items())}
    stale[stg] = len(window) - len(builds_of(stg, settings).read(stg, window))
    if found.src is None:
        found.unmade.append(f"{src} is not made")
    found.unmade += [f"{days:,} of {len(window):,} days of {name} are not made" for name, days in stale.items() if days]
    for is_made, holds, sentence in (
        (
            not stale[raw],
            found.accepted == once + found.waiting + found.superseded,
            f"accepted {found.accepted} is not raw {once} + waiting {found.waiting} + superseded {found.superseded}",
        ),
        (found.src is not None and not stale[raw], found.src == found.raw, f"src {found.src} is not raw {found.raw}"),
        (
            found.stg is not None and not stale[stg],
            found.stg == (found.src or 0) - (found.duplicates or 0),
            f"stg {found.stg} is not src {found.src} less {found.duplicates} duplicates",
        ),
    ):
        if is_made and not holds:
            found.faults.append(f"{source.name}: {sentence}; are there days that `materialize --new` would make?")
    return found


def _count_raw(source: Source, settings: Settings, found: Balance) -> int:
    """Counts the rows of the raw days; gives how many there are when each landed one counts once."""
    files = sorted((settings.raw_dir / (RAW_PREFIX + source.name)).glob("_day=*/data.parquet"))
    if not files:
        return 0
    rows = pl.concat([pl.scan_parquet(file, glob=False).select("_source_file", "_source_row") for file in files])
    found.raw = rows.select(pl.len()).collect().item()
    # A snapshot stands in every day that it is carried to: what was landed is one row a record.
    return rows.unique().select(pl.len()).collect().item() if source.kind is Kind.SNAPSHOT else found.raw


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
    node = load_manifest(settings)["nodes"].get(f"model.analytics.{model}")
    if node is None:
        raise NotMade(f"{model} is left out, since it is broken")
    days = Window(settings.start_date, date.max)  # a table may refuse to be read without its days
    where = f"{between(node['config']['meta']['day'], days)} and {condition}"
    return int(reader.rows(f"select count(*) from {node['relation_name']} where {where}").rows[0][0])
