"""The lake: an IO manager that stores each day of an asset as one Parquet file."""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
from dagster import ConfigurableIOManager, InputContext, MetadataValue, OutputContext

from analytics_assets.foundation.failures import for_dagster, is_transient, sentence, worst
from analytics_assets.foundation.files import Damaged, only_one, replacing, sweep
from analytics_assets.foundation.threads import in_threads
from analytics_assets.spec.asset import name_of
from analytics_assets.spec.source import Source
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.builds import Build, builds_of_raw, raw_file


@dataclass(frozen=True)
class LakeDay:
    """One day of rows on their way into the lake.

    Attributes:
        rows: returns the rows when they are to be written; raises Damaged if the files that hold them have changed.
        expected_rows: how many rows there must be.
        build: what the day was built from.
        source: the source of the rows.
    """

    rows: Callable[[], pl.LazyFrame]
    expected_rows: int
    build: Build
    source: Source


_ROWS_OF_SMALL_DAY = 100_000  # Polars writes a larger one with all cores


class NotDelivered(Exception):
    """Some days of a run were not written, or not delivered to where models read them; `by_day` gives the reasons."""

    def __init__(self, by_day: Mapping[str, Exception]) -> None:
        more = len(by_day) - 1
        others = f"; {more} more {'day' if more == 1 else 'days'} failed" if more else ""
        super().__init__(f"{sentence(worst(by_day.values()))}{others}")
        self.by_day = by_day


def take_out(folder: Path, asset: str, days: Sequence[date]) -> None:
    """Removes days that no longer have a partition; their rows stay in the landed pieces.

    The record is deleted last: while it exists, the asset is out of date, so a run that is killed in between is redone.
    """
    if not days:
        return
    with only_one(folder / f".{asset}.lock"):
        for day in days:
            shutil.rmtree(folder / asset / f"_day={day}", ignore_errors=True)
        builds_of_raw(folder).forget(asset, days)


class ParquetByDay(ConfigurableIOManager):
    """Writes and reads `<folder>/<asset>/_day=<date>/data.parquet`, each day atomically, several days in one run.

    An asset returns a dict from partition key to LakeDay; a downstream asset gets a LazyFrame over all days of its
    input, with the day as the column `_day`.
    """

    folder: str
    retry_wait_seconds: float = 0.0

    def file(self, asset: str, day: str) -> Path:
        """The file of a day."""
        return raw_file(Path(self.folder), asset, date.fromisoformat(day))

    def handle_output(self, context: OutputContext, obj: Mapping[str, LakeDay]) -> None:
        """Replaces the days of the run.

        Raises:
            Failure: a day has the wrong number of rows and was not replaced, or a day cannot be delivered.
            RetryRequested: a day could not be written or delivered, but a retry may succeed.
        """
        asset = name_of(context.asset_key)
        try:
            if set(obj) != set(context.asset_partition_keys):
                raise RuntimeError(f"{asset}: the run is for {sorted(context.asset_partition_keys)}, not {sorted(obj)}")
            self._replace(context, asset, obj)
        except Exception as error:
            by_day = error.by_day if isinstance(error, NotDelivered) else dict.fromkeys(obj, error)
            self._note_failures(context, obj, by_day)
            raise for_dagster(
                sentence(error),
                transient=all(is_transient(one) for one in by_day.values()),
                retry_number=context.step_context.previous_attempt_count,
                wait_seconds=self.retry_wait_seconds,
            ) from error
        context.add_output_metadata({"path": MetadataValue.path(str(Path(self.folder) / asset))})

    def _note_failures(self, context: OutputContext, days: Iterable[str], by_day: Mapping[str, Exception]) -> None:
        """Records which days failed; the other days of the run were not reached, and are requested again."""
        asset, run_id = name_of(context.asset_key), context.step_context.run_id
        attempts = Attempts(Path(self.folder).parent)
        attempts.end(asset, [date.fromisoformat(day) for day in days if day not in by_day])
        for day, error in by_day.items():
            failed = [date.fromisoformat(day)]
            attempts.fail(asset, failed, run_id, sentence(error), permanent=not is_transient(error))

    def _replace(self, context: OutputContext, asset: str, days: Mapping[str, LakeDay]) -> None:
        builds = {date.fromisoformat(day): lake_day.build for day, lake_day in days.items()}
        held = builds_of_raw(Path(self.folder))
        # The lock spans write and record: with two runs at once, the file and the record must be of the same run.
        with only_one(Path(self.folder) / f".{asset}.lock"):
            held.forget(asset, builds)
            damaged: dict[str, Exception] = {}

            def write(day: str) -> None:
                try:
                    self._write(asset, day, days[day])
                except Damaged as error:
                    damaged[day] = error

            small = [day for day, lake_day in days.items() if lake_day.expected_rows <= _ROWS_OF_SMALL_DAY]
            for day in sorted(days.keys() - small):
                write(day)
            in_threads(write, small)
            whole = {day: lake_day for day, lake_day in days.items() if day not in damaged}
            held.record(asset, {date.fromisoformat(day): lake_day.build for day, lake_day in whole.items()})
            try:
                if whole:
                    self.deliver(context, asset, whole)
            except NotDelivered as error:
                damaged |= error.by_day
            if damaged:
                raise NotDelivered(damaged)

    def _write(self, asset: str, day: str, lake_day: LakeDay) -> None:
        from pyarrow import parquet  # slow to import, and not needed to load the definitions

        target = self.file(asset, day)
        if target.parent.exists():
            sweep(target.parent)
        with replacing(target) as temporary:
            lake_day.rows().sink_parquet(temporary, compression="zstd", compression_level=1)
            written = parquet.read_metadata(temporary).num_rows
            if written != lake_day.expected_rows:
                raise Damaged(
                    f"{asset} {day}: its pieces hold {written} rows, but {lake_day.expected_rows} were landed. "
                    "Is a file below lake/landed damaged? Restore it from a backup."
                )

    def deliver(self, context: OutputContext, asset: str, days: Mapping[str, LakeDay]) -> None:
        """Delivers written days to where models read them; here models read the files themselves.

        Raises:
            NotDelivered: some days could not be delivered.
        """

    def load_input(self, context: InputContext) -> pl.LazyFrame:
        """All rows of the input's days."""
        asset = name_of(context.asset_key)
        days = [
            pl.scan_parquet(self.file(asset, day), glob=False).with_columns(_day=pl.lit(date.fromisoformat(day)))
            for day in context.asset_partition_keys
        ]
        return pl.concat(days, how="diagonal_relaxed")
