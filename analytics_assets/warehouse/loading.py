"""Raw days on BigQuery: kept in the lake as everywhere, and loaded from there into native tables, a day a partition."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from dagster import OutputContext
from google.cloud import bigquery

from analytics_assets.settings import Settings
from analytics_assets.versions import RAW_PREFIX, Builds
from analytics_assets.warehouse.lake import LakeDay, ParquetByDay
from analytics_assets.warehouse.load_jobs import Loaded, day_file, job_id_of, load_day, raw_schema
from analytics_assets.warehouse.on_bigquery import RAW_SCHEMA, BigQueryApi, api_of, dataset_of, place_of

AT_ONCE = 8
"""So many days are loaded at the same time; most of a load is waiting for it."""

PATIENCE_SECONDS = 600.0
"""So long one day is tried for."""


class LoadedByDay(ParquetByDay):
    """The lake, from which each day of a run is loaded into the table of its asset."""

    api: BigQueryApi
    dataset: str
    records_folder: str
    expiration_days: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> "LoadedByDay":
        """As the settings say."""
        return cls(
            folder=str(settings.raw_dir),
            retry_wait_seconds=settings.retry_wait_seconds,
            api=api_of(settings),
            dataset=dataset_of(settings, RAW_SCHEMA),
            records_folder=str(settings.warehouse_dir),
            expiration_days=place_of(settings).partition_expiration_days,
        )

    def deliver(self, context: OutputContext, asset: str, days: Mapping[str, LakeDay]) -> None:
        """Loads the days, each in one job, whole or not at all.

        Raises:
            LoadRefused, LoadUnavailable: a day could not be loaded; others may have been.
        """
        with self.api.get_client() as client, TemporaryDirectory(dir=self.folder) as folder:
            place = bigquery.Dataset(f"{self.api.project}.{self.dataset}")
            place.location = self.api.location
            client.create_dataset(place, exists_ok=True)
            table = f"{self.api.project}.{self.dataset}.{asset}"
            run, retry = context.run_id, context.step_context.previous_attempt_count

            def load(day: str, lake_day: LakeDay) -> Loaded:
                return self._load(client, Path(folder), table, asset, day, lake_day, run, retry)

            with ThreadPoolExecutor(AT_ONCE) as pool:
                loaded = list(pool.map(load, days.keys(), days.values()))
        context.add_output_metadata(
            {"table": table, "load_jobs": len(loaded), "rows_loaded": sum(one.rows for one in loaded)}
        )

    def _load(
        self,
        client: bigquery.Client,
        folder: Path,
        table: str,
        asset: str,
        day: str,
        lake_day: LakeDay,
        run_id: str,
        retry_number: int,
    ) -> Loaded:
        if lake_day.source is None:
            raise ValueError(f"{asset}: the types of its columns are not known; LakeDay.source says them")
        file, its_day = folder / f"{day}.parquet", date.fromisoformat(day)
        day_file(self.file(asset, day), its_day, file, lake_day.source)
        try:
            return load_day(
                client,
                file,
                table,
                its_day,
                raw_schema(lake_day.source),
                job_id=job_id_of(table, its_day, lake_day.build.version, run_id, retry_number),
                labels={"layer": "raw", "source": asset.removeprefix(RAW_PREFIX)},
                expiration_days=self.expiration_days,
                patience_seconds=PATIENCE_SECONDS,
                expected_rows=lake_day.expected_rows,
            )
        finally:
            file.unlink()

    def records(self) -> Builds:
        """Beside those of the models, since another warehouse knows nothing of what was loaded into this one."""
        return Builds(Path(self.records_folder))
