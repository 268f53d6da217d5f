"""What the five laws are shown with: changes of the sample data, and what may differ after them."""

import random
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from analytics_assets.partitions import Window, assets_of
from analytics_assets.simulation.files import write_rows
from analytics_assets.spec.source import Kind, Source
from analytics_assets.state.ledger import Ledger
from analytics_assets_tests.support.project import YESTERDAY, Project

Tables = dict[tuple[str, date], list[tuple]]


def differing(before: Tables, after: Tables) -> dict[str, set[date]]:
    """The days of each asset whose rows are not the same."""
    found: dict[str, set[date]] = {}
    for asset, at in before.keys() | after.keys():
        if before.get((asset, at)) != after.get((asset, at)):
            found.setdefault(asset, set()).add(at)
    return found


def facts_above(project: Project, asset: str) -> set[str]:
    """The sources of facts that an asset is made from."""
    if asset.startswith("raw_"):
        name = asset.removeprefix("raw_")
        return {source.name for source in project.sources if source.name == name and source.kind is Kind.FACTS}
    upstream = assets_of(project.runner().upstream[asset])
    return set().union(*(facts_above(project, parent) for parent in upstream)) if upstream else set()


def drop_everything_again_but_one_day(project: Project, source: Source, left_out: date) -> None:
    """Replaces each file of a source by one without the rows of a day."""
    rows = project.frame(f"raw_{source.name}").filter(pl.col("the_day") != left_out)
    for path, accepted in Ledger(project.settings.lake_dir).current_paths(source).items():
        kept = rows.filter(pl.col("_source_file") == path).select(*source.columns)
        if kept.height == accepted:
            continue
        text = kept.select(pl.all().cast(pl.String)).rows(named=True)
        write_rows(project.settings.inbox_dir / source.name / path, text, source.columns)


def tied_to(project: Project, raw_asset: str, raw_days: set[date]) -> dict[str, set[date]]:
    """By the partition mappings alone: the days of every asset that hang on some raw days."""
    tied = {raw_asset: raw_days}
    partitions = set(project.window.days())
    for asset, reads in project.runner().upstream.items():
        for read in reads:
            for at in tied.get(read.asset, set()):
                for day in partitions:
                    since = (at - day).days
                    if (read.days.start is None or read.days.start <= since) and (
                        read.days.end is None or since <= read.days.end
                    ):
                        tied.setdefault(asset, set()).add(day)
    return {asset: days & partitions for asset, days in tied.items()}


def drop_a_change(project: Project, source: Source, at: date) -> tuple[Path, set[date]]:
    """Drops a file that changes one day of a source, or of a snapshot the days from one to the next.

    Returns:
        The file, and the raw days that change.
    """
    held = project.frame(f"raw_{source.name}").filter(pl.col("the_day") == at).select(*source.columns)
    rows = sorted(held.select(pl.all().cast(pl.String)).rows(named=True), key=repr)  # pieces have no order of their own
    said = [sum(bool(value and value.strip()) for value in row.values()) for row in rows]
    fullest = [row for row, count in zip(rows, said, strict=True) if count == max(said)]  # one that tells of a customer
    extra = {**random.Random(1).choice(fullest), source.primary_key[0]: "a-key-that-is-new"}
    folder = project.settings.inbox_dir / source.name
    if source.kind is Kind.FACTS:
        paths = Ledger(project.settings.lake_dir).current_paths(source)
        example = next(path for path in paths if path.endswith(".csv"))
        file = folder / example.replace(".csv", "-late.csv")
        write_rows(file, [extra], source.columns)
        return file, {at}
    dates = sorted(source.snapshot_day(path) for path in Ledger(project.settings.lake_dir).current_paths(source))
    until = min((d for d in dates if d > at), default=YESTERDAY + timedelta(days=1))
    file = folder / f"{source.name}-{at}.csv"
    write_rows(file, [*rows, extra], source.columns)
    return file, set(Window(at, until).days())
