"""The lake: an IO manager that keeps every day of an asset as one Parquet file."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
from dagster import ConfigurableIOManager, InputContext, MetadataValue, OutputContext

from analytics_assets.files import only_one, replacing
from analytics_assets.versions import Build, Builds


@dataclass(frozen=True)
class LakeDay:
    """One day of rows on their way into the lake.

    Attributes:
        rows: the rows, read only when they are written.
        expected_rows: how many there must be.
        build: what the day was built from.
    """

    rows: pl.LazyFrame
    expected_rows: int
    build: Build


class ParquetByDay(ConfigurableIOManager):
    """Writes and reads `<folder>/<asset>/_day=<date>/data.parquet`, each day atomically, several days in one run.

    An asset hands over a dict from partition key to LakeDay; a downstream asset gets a LazyFrame over all days of its
    input, with the day as the column `_day`.
    """

    folder: str

    def file(self, asset: str, day: str) -> Path:
        """Where a day lies."""
        return Path(self.folder) / asset / f"_day={day}" / "data.parquet"

    def handle_output(self, context: OutputContext, obj: Mapping[str, LakeDay]) -> None:
        """Replaces the days of the run.

        Raises:
            RuntimeError: a day held another number of rows than it should; it was not replaced.
        """
        from pyarrow import parquet  # takes long to import, and is not needed to load the definitions

        asset = context.asset_key.path[-1]
        builds = Builds(Path(self.folder))
        if set(obj) != set(context.asset_partition_keys):
            raise RuntimeError(f"{asset}: the run is for {sorted(context.asset_partition_keys)}, not {sorted(obj)}")
        # Written and recorded as one: of two runs at once, the record must not be the one's and the file the other's.
        with only_one(Path(self.folder) / f".{asset}.lock"):
            for day, lake_day in obj.items():
                with replacing(self.file(asset, day)) as target:
                    lake_day.rows.sink_parquet(target, compression="zstd", compression_level=1)
                    written = parquet.read_metadata(target).num_rows
                    if written != lake_day.expected_rows:
                        raise RuntimeError(
                            f"{asset} {day}: its pieces hold {written} rows, but {lake_day.expected_rows} were landed. "
                            "Is a file below lake/landed damaged? Restore it from a backup."
                        )
            builds.record(asset, {date.fromisoformat(day): lake_day.build for day, lake_day in obj.items()})
        context.add_output_metadata({"path": MetadataValue.path(str(Path(self.folder) / asset))})

    def load_input(self, context: InputContext) -> pl.LazyFrame:
        """All rows of the input's days."""
        asset = context.asset_key.path[-1]
        days = [
            pl.scan_parquet(self.file(asset, day), glob=False).with_columns(_day=pl.lit(date.fromisoformat(day)))
            for day in context.asset_partition_keys
        ]
        return pl.concat(days, how="diagonal_relaxed")
