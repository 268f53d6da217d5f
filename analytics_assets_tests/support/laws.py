"""What the five laws are shown with: changes of the sample data, and what may differ after them."""

import random
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from analytics_assets.partitions import Window
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


def dated_above(project: Project, asset: str) -> set[str]:
    """The sources that an asset is made from whose days are empty when nothing came for them."""
    if asset.startswith("raw_"):
        name = asset.removeprefix("raw_")
        return {source.name for source in project.sources if source.name == name and source.kind is not Kind.SNAPSHOT}
    upstream = project.runner().upstream[asset]
    return set().union(*(dated_above(project, parent) for parent in upstream)) if upstream else set()


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
    for asset, upstream in project.runner().upstream.items():
        for parent, offsets in upstream.items():
            for at in tied.get(parent, set()):
                for number in range(offsets.start, offsets.end + 1):
                    tied.setdefault(asset, set()).add(at - timedelta(days=number))
    partitions = set(project.window.days())
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
    if source.kind is not Kind.SNAPSHOT:
        paths = [path for path in Ledger(project.settings.lake_dir).current_paths(source) if path.endswith(".csv")]
        if source.kind is Kind.DELIVERY:
            paths = [path for path in paths if source.day_in_path(path) == at]
        example = paths[0]
        file = folder / example.replace(".csv", "-late.csv")
        write_rows(file, [extra], source.columns)
        return file, {at}
    dates = sorted(source.day_in_path(path) for path in Ledger(project.settings.lake_dir).current_paths(source))
    until = min((d for d in dates if d > at), default=YESTERDAY + timedelta(days=1))
    file = folder / f"{source.name}-{at}.csv"
    write_rows(file, [*rows, extra], source.columns)
    return file, set(Window(at, until).days())
