"""What the five laws are shown with: changes of the sample data, and what may differ after them."""

import random
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date, timedelta
from pathlib import Path, PurePosixPath

import polars as pl

from analytics_assets.partitions import Read, Window, assets_of, by_day, by_key
from analytics_assets.simulation.files import write_as
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
    upstream = assets_of(project.runner().upstream[asset])
    return set().union(*(dated_above(project, parent) for parent in upstream)) if upstream else set()


def still_has_input(
    project: Project, asset: str, at: date, after: Collection[tuple[str, date]], *, of_its_day: bool = True
) -> bool:
    """Whether a day of an asset has rows to be made from, though what came on that day itself has gone.

    They are of other days, which it reads as well; or its own day of what it reads is of a snapshot, or is such a day.
    """
    reads = by_day(project.upstream[asset])
    spans = {one.asset: one.days.upstream_of(Window.of_days(at, at)) for one in reads}
    if any(other != at and name in spans and spans[name].holds(other) for name, other in after):
        return True
    own = list(spans)
    if of_its_day and own and not any(dated_above(project, name) for name in own):
        return True
    return any(dated_above(project, one) and still_has_input(project, one, at, after, of_its_day=False) for one in own)


def drop_everything_again_but_one_day(project: Project, source: Source, left_out: date) -> None:
    """Replaces each file of a source by one without the rows of a day."""
    rows = project.frame(f"raw_{source.name}").filter(pl.col("the_day") != left_out)
    for path, accepted in Ledger(project.settings.lake_dir).current_paths(source).items():
        kept = rows.filter(pl.col("_source_file") == path).select(*source.columns)
        if kept.height == accepted:
            continue
        text = kept.select(pl.all().cast(pl.String)).rows(named=True)
        write_as(project.settings.inbox_dir / source.name / path, text, source)


Held = dict[Read, dict[date, Counter[tuple]]]
"""By mapping by key, the rows of the upstream model by day: the key, then the named columns."""


def held_by_key(project: Project) -> Held:
    """The rows that each mapping by key reads, in the columns that it names."""
    return {
        read: rows_by_day(project.frame(read.asset), [*read.key, *read.columns])
        for reads in project.upstream.values()
        for read in by_key(reads)
    }


def rows_by_day(frame: pl.DataFrame, columns: Sequence[str]) -> dict[date, Counter[tuple]]:
    found: dict[date, Counter[tuple]] = {}
    for day, *row in frame.select("the_day", *columns).rows():
        found.setdefault(day, Counter())[tuple(row)] += 1
    return found


def tied_to(project: Project, raw_asset: str, raw_days: set[date], before: Held) -> dict[str, set[date]]:
    """The days of every asset that hang on some raw days: by span, and by the keys whose rows have changed since.

    Args:
        before: what was read by key before the change; the project holds what is read after it.
    """
    tied = {raw_asset: raw_days}
    partitions = set(project.window.days())
    after = held_by_key(project)
    for asset, reads in project.runner().upstream.items():
        for read in reads:
            for at in tied.get(read.asset, set()):
                days = {day for day in partitions if _in_span(read, (at - day).days)}
                if read.is_by_key:
                    old, new = (rows[read].get(at, Counter()) for rows in (before, after))
                    keys = {row[: len(read.key)] for row in (old - new) | (new - old)}
                    days &= _days_with_keys(project, asset, read, keys)
                if days:
                    tied.setdefault(asset, set()).update(days)
    return {asset: days & partitions for asset, days in tied.items()}


def _in_span(read: Read, since: int) -> bool:
    start, end = read.days.start, read.days.end
    return (start is None or start <= since) and (end is None or since <= end)


def _days_with_keys(project: Project, asset: str, read: Read, keys: set[tuple]) -> set[date]:
    """The days of a reader in whose own rows of the driver some keys occur."""
    (of_driver,) = [one for one in by_day(project.upstream[asset]) if one.asset == read.of]
    rows = rows_by_day(project.frame(read.of), read.key)
    found = {at for at, of_day in rows.items() if any(None not in key and key in keys for key in of_day)}
    return {day for day in project.window.days() for at in found if _in_span(of_driver, (at - day).days)}


def drop_a_row_with_a_key(project: Project, asset: str, read: Read, number: int = 0) -> tuple[Source, set[date]]:
    """Drops a file with one row that a reader finds by key: a row that stands on another day once more.

    Of all keys it takes one that occurs on few of the reader's days. The source's columns have the model's names.

    Args:
        number: which of the rows that could be taken, from 0. Odd ones tell what the reader reads of them as another
            row does: of some reads, it is no difference that a row was told again.

    Returns:
        The source, and the raw days that change.
    """
    occurs = project.frame(read.of).drop_nulls(list(read.key)).group_by(read.key).agg(days=pl.col("the_day").n_unique())
    held = project.frame(read.asset).select(read.key).unique()
    rarest = occurs.join(held, on=list(read.key), how="semi")
    for source in (one for one in project.sources if one.name in dated_above(project, read.asset)):
        if not set(read.key) <= source.columns.keys():
            continue
        raw = project.frame(f"raw_{source.name}")
        in_order = raw.join(rarest, on=list(read.key)).sort("days", *read.key, "the_day", "_source_row")
        row = in_order.select(raw.columns).slice(number // 2, 1)
        told = [name for name in read.columns if name in source.columns and name not in source.primary_key]
        other = (
            raw.filter(pl.any_horizontal(pl.col(name) != row[name].first() for name in told)) if told else raw.clear()
        )
        if number % 2 and other.height:
            row = row.with_columns(other.head(1)[name] for name in told if name != source.time)
        if row.height:
            at = row["the_day"][0]
            at += timedelta(days=1 if at < YESTERDAY else -1)
            moved, name = row, f"{source.name}-{at}-by-key.csv"
            if source.time:
                moved = row.with_columns(pl.col(source.time) + pl.lit(at - row["the_day"][0]))
                name = f"{row['_source_file'][0].partition('.')[0]}-by-key.csv"
            file, moved = project.settings.inbox_dir / source.name / name, moved.select(*source.columns)
            write_as(file, moved.select(pl.all().cast(pl.String)).rows(named=True), source)
            return source, {at}
    raise AssertionError(f"{asset}: {read}: the sample data has no key that occurs on both sides")


def drop_a_change(project: Project, source: Source, at: date) -> tuple[Path, set[date]]:
    """Drops a file that changes one day of a source, or of a snapshot the days from one to the next.

    Returns:
        The file, and the raw days that change.
    """
    held = project.frame(f"raw_{source.name}").filter(pl.col("the_day") == at).select(*source.columns)
    rows = sorted(held.select(pl.all().cast(pl.String)).rows(named=True), key=repr)  # pieces have no order of their own
    said = [sum(bool(value and value.strip()) for value in row.values()) for row in rows]
    fullest = [row for row, count in zip(rows, said, strict=True) if count == max(said)]  # one that tells of a customer
    extra = {**random.Random(1).choice(fullest), **_new_key(source)}
    folder = project.settings.inbox_dir / source.name
    if source.kind is not Kind.SNAPSHOT:
        paths = _dropped(project, source)
        if source.kind is Kind.DELIVERY:
            paths = [path for path in paths if source.day_in_path(path) == at]
        stem, dot, ending = paths[0].rpartition(".")
        file = folder / f"{stem}-late{dot}{ending}"
        write_as(file, [extra], source)
        return file, {at}
    dates = sorted(source.day_in_path(path) for path in Ledger(project.settings.lake_dir).current_paths(source))
    until = min((d for d in dates if d > at), default=YESTERDAY + timedelta(days=1))
    ending = PurePosixPath(_dropped(project, source)[0]).suffix
    file = folder / f"{source.name}-{at}{ending}"
    write_as(file, [*rows, extra], source)
    return file, set(Window(at, until).days())


def _dropped(project: Project, source: Source) -> list[str]:
    """The files of a source, those of one format, CSV if there are any."""
    paths = [path for path in Ledger(project.settings.lake_dir).current_paths(source) if PurePosixPath(path).suffix]
    return [path for path in paths if path.endswith(".csv")] or paths


def _new_key(source: Source) -> dict[str, str]:
    """A value of the key that no row has, in a column that does not hold the row's day; else of another column."""
    values = {pl.String: "a-key-that-is-new", pl.Int64: "987654321", pl.Float64: "98765.4"}
    columns = [*source.key_columns, *source.columns]
    usable = [name for name in columns if name != source.time and source.columns[name] in values]
    return {name: values[source.columns[name]] for name in usable[:1]}  # type: ignore[index]
