"""Reconciliation: counts every row of a source in the files and tables themselves, and compares with the ledger."""

from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl

from analytics_assets.foundation.words import plural
from analytics_assets.partitions import Window, partitioned_days
from analytics_assets.project import Project
from analytics_assets.settings import Settings
from analytics_assets.spec.source import Kind, Source
from analytics_assets.state.builds import builds_of, builds_of_model
from analytics_assets.state.ledger import Ledger, wanted_versions
from analytics_assets.warehouse.interface import NotMade, Reader, between


@dataclass
class Reconciliation:
    """Row counts of a source; for a snapshot, `raw`, `src` and `stg` count a row once per day that carries it forward.

    Counts of what was not made yet are None.

    Attributes:
        records: all records of the files that ever landed: accepted + rejected.
        accepted: all rows that ever landed and were not rejected.
        rejected: rows that went to the rejects.
        waiting: rows on days that have no partition.
        superseded: rows of contents that were replaced under their path.
        raw: rows in the raw days, counted in their files.
        src, stg: rows in the staging models, without those that say that a key is withdrawn: they are in no file.
        duplicates: rows of src that stg leaves out.
        unmade: one sentence per stage with days that are not made, so that it cannot be judged.
        faults: one sentence per equation that does not hold.
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


def reconcile(source: Source, project: Project, now: datetime) -> Reconciliation:
    """Counts the rows of a source at each stage, as far as it is made."""
    settings = project.settings
    ledger, window = Ledger(settings.lake_dir), partitioned_days(settings, now, source.calendar)
    totals = ledger.totals(source, window)
    found = Reconciliation(totals.accepted, totals.rejected, totals.waiting, totals.superseded)
    once = _count_raw(source, settings, found)
    src, stg, raw = f"src_{source.name}", f"stg_{source.name}", source.raw_asset
    try:
        with project.warehouse.reading() as reader:
            found.src = _count(reader, project, src)
            found.duplicates = _count(reader, project, src, "duplicate_rank > 1")
            found.stg = _count(reader, project, stg, "not is_withdrawn" if source.complete else "true")
    except NotMade:
        pass  # reported below, with the days

    wanted, made = wanted_versions(ledger, source, window), builds_of(project.catalog[raw], settings).read(raw, window)
    stale = {raw: sum(day not in made or made[day].inputs != version for day, version in wanted.items())}
    stale[stg] = len(window) - len(builds_of_model(stg, settings).read(stg, window))
    if found.src is None:
        found.unmade.append(f"{src} is not made")
    found.unmade += [
        f"{days:,} of {plural(len(window), 'day')} of {name} {'is' if days == 1 else 'are'} not made"
        for name, days in stale.items()
        if days
    ]
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


def _count_raw(source: Source, settings: Settings, found: Reconciliation) -> int:
    """Counts the rows of the raw days; returns their number with each landed row counted once."""
    files = sorted((settings.raw_dir / source.raw_asset).glob("_day=*/data.parquet"))
    if not files:
        return 0
    rows = pl.concat([pl.scan_parquet(file, glob=False).select("_source_file", "_source_row") for file in files])
    found.raw = rows.select(pl.len()).collect().item()
    # A snapshot's row repeats on every day that it is carried to; only one row per record was landed.
    return rows.unique().select(pl.len()).collect().item() if source.kind is Kind.SNAPSHOT else found.raw


def _count(reader: Reader, project: Project, model: str, condition: str = "true") -> int:
    node = project.manifest.made.get(model)
    if node is None:
        raise NotMade(f"{model} is left out, since it is broken")
    first = project.catalog[model].calendar.first_day(project.settings)
    days = Window(first, date.max)  # a table may require a filter on its days
    where = f"{between(node.day, days)} and {condition}"
    return int(reader.rows(f"select count(*) from {node.relation_name} where {where}").rows[0][0])
