"""Raw days on BigQuery: kept in the lake as everywhere, and loaded from there into native tables, a day a partition."""

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import date
from pathlib import Path

from dagster import OutputContext
from google.cloud import bigquery

from analytics_assets.foundation.failures import is_transient
from analytics_assets.foundation.plain_text import logger_of
from analytics_assets.settings import Settings
from analytics_assets.state.builds import Builds
from analytics_assets.warehouse.bigquery.api import RAW_SCHEMA, BigQueryApi, api_of, dataset_of, place_of
from analytics_assets.warehouse.bigquery.load_jobs import (
    Loaded,
    day_file,
    job_id_of,
    load_day,
    make_dataset,
    make_table,
    raw_schema,
    told_plainly,
)
from analytics_assets.warehouse.raw_day_writer import LakeDay, NotDelivered, ParquetByDay

AT_ONCE = 8
"""So many days are loaded at the same time; most of a load is waiting for it."""

PATIENCE_SECONDS = 600.0
"""So long one day is tried for."""

logger = logger_of(__name__)


class LoadedByDay(ParquetByDay):
    """The lake, from which each day of a run is loaded into the table of its asset.

    What is loaded is recorded beside what models make of it, since another warehouse knows nothing of it.
    """

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
        """Loads the days, each in one job, whole or not at all, and records those that are loaded.

        Raises:
            NotDelivered: some days could not be loaded.
            LoadRefused, LoadUnavailable: there is no dataset to load them into.
        """
        records = Builds(Path(self.records_folder))
        builds = {date.fromisoformat(day): lake_day.build for day, lake_day in days.items()}
        records.forget(asset, builds)
        dataset = f"{self.api.project}.{self.dataset}"
        table, run, retry = f"{dataset}.{asset}", context.run_id, context.step_context.previous_attempt_count
        with self.api.get_client() as client:  # one for all threads, which Google's documentation allows
            with told_plainly(dataset):
                make_dataset(client, dataset)
            with told_plainly(table):
                schema = raw_schema(next(iter(days.values())).source)
                if make_table(client, table, schema, self.expiration_days):
                    records.forget_all(asset)  # somebody dropped it: its other days are to be loaded again, too

            def load(day: str) -> Loaded:
                return self._load(client, table, asset, day, days[day], run, retry)

            try:
                loaded = load_all(load, days, asset)
            except NotDelivered as error:
                records.record(asset, {day: build for day, build in builds.items() if str(day) not in error.by_day})
                raise
        records.record(asset, builds)
        context.add_output_metadata(
            {"table": table, "load_jobs": len(loaded), "rows_loaded": sum(one.rows for one in loaded)}
        )

    def _load(
        self,
        client: bigquery.Client,
        table: str,
        asset: str,
        day: str,
        lake_day: LakeDay,
        run_id: str,
        retry_number: int,
    ) -> Loaded:
        held, its_day = self.file(asset, day), date.fromisoformat(day)
        file = held.with_name(f".load.{os.getpid()}.tmp")  # after a kill, who writes the day again sweeps it away
        try:
            day_file(held, its_day, file, lake_day.source)
            return load_day(
                client,
                file,
                table,
                its_day,
                raw_schema(lake_day.source),
                job_id=job_id_of(table, its_day, lake_day.build.version, run_id, retry_number),
                labels={"layer": "raw", "source": lake_day.source.name},
                patience_seconds=PATIENCE_SECONDS,
                expected_rows=lake_day.expected_rows,
            )
        finally:
            file.unlink(missing_ok=True)


def load_all(load: Callable[[str], Loaded], days: Iterable[str], asset: str) -> list[Loaded]:
    """Loads some days, several at a time. A day that is refused holds up no other.

    Raises:
        NotDelivered: some days were not loaded. When BigQuery cannot be had for one of them, no other is begun.
    """
    loaded: dict[str, Loaded] = {}
    failed: dict[str, Exception] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        loads = {pool.submit(load, day): day for day in days}
        try:
            for done in as_completed(loads):
                try:
                    loaded[loads[done]] = done.result()
                except Exception as error:
                    if is_transient(error):
                        failed = {day: failed.get(day, error) for day in loads.values() if day not in loaded}
                        break
                    failed[loads[done]] = error
                else:
                    logger.info(f"{asset}: {len(loaded):,} of {len(loads):,} days are loaded")
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    if failed:
        raise NotDelivered(failed)
    return list(loaded.values())
