"""The warehouse in a company: BigQuery, where readers and writers do not block each other.

Raw days lie in the lake as with DuckDB, and are loaded from there into native tables.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import polars as pl
from dagster import ConfigurableIOManager
from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery

from analytics_assets.foundation.failures import said_by_google, sentence
from analytics_assets.partitions import Window, contiguous
from analytics_assets.spec.asset import Asset, AssetKind
from analytics_assets.spec.model_node import Manifest
from analytics_assets.state.builds import builds_of_model
from analytics_assets.warehouse.bigquery.api import RAW_SCHEMA, api_of, dataset_of, place_of
from analytics_assets.warehouse.interface import CannotRead, NotMade, Reader, Rows, Warehouse


class BigQueryReader(Reader):
    """A client whose queries are bounded in what they bill."""

    def __init__(self, client: bigquery.Client, maximum_bytes_billed: int | None) -> None:
        self._client, self._maximum = client, maximum_bytes_billed

    def rows(self, sql: str) -> Rows:
        with _told_plainly():
            found = self._query(sql)
            return Rows([field.name for field in found.schema], [tuple(row.values()) for row in found])

    def frame(self, sql: str) -> pl.DataFrame:
        with _told_plainly():
            frame = pl.from_arrow(self._query(sql).to_arrow(create_bqstorage_client=False))
        assert isinstance(frame, pl.DataFrame)
        return frame

    def bytes_read(self, sql: str) -> int:
        config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)  # which costs nothing
        with _told_plainly():
            return int(self._client.query(sql, config).total_bytes_processed or 0)

    def _query(self, sql: str) -> Any:
        config = bigquery.QueryJobConfig()
        if self._maximum is not None:
            config.maximum_bytes_billed = self._maximum
        return self._client.query_and_wait(sql, job_config=config)


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise NotMade(said_by_google(error)) from error
    except (GoogleAPICallError, GoogleAuthError) as error:
        raise CannotRead(sentence(said_by_google(error))) from error


class BigQueryWarehouse(Warehouse):
    """Datasets of a project."""

    kind = profile = "bigquery"
    bills_bytes = True
    blocks_readers = False
    text_type, ratio_type = "string", "float64"

    @contextmanager
    def reading(self) -> Iterator[BigQueryReader]:
        with api_of(self.settings).get_client() as client:
            yield BigQueryReader(client, place_of(self.settings).maximum_bytes_billed)

    def reading_published(self) -> AbstractContextManager[Reader]:
        return self.reading()

    def published_days(self, name: str, window: Window) -> list[Window]:
        return contiguous(builds_of_model(name, self.settings).read(name, window))

    def require_writable(self) -> None:
        with api_of(self.settings).get_client():
            pass  # nobody is asked: the key is read

    def lacking(self, assets: Iterable[Asset], manifest: Manifest) -> set[str]:
        """Somebody may drop a table, or a dataset: a run would make it anew with its own days alone."""
        raw = dataset_of(self.settings, RAW_SCHEMA)
        datasets: dict[str, dict[str, str]] = defaultdict(dict)  # by dataset: the assets by their tables' names
        for asset in assets:
            node = manifest.made.get(asset.name)
            if asset.kind is AssetKind.RAW:
                datasets[raw][asset.name] = asset.name
            elif node and not node.is_table_function:  # which is not listed among tables
                datasets[node.schema][node.alias] = asset.name
        found: set[str] = set()
        with api_of(self.settings).get_client() as client, _told_plainly():
            for dataset, wanted in datasets.items():
                try:
                    there = {table.table_id for table in client.list_tables(dataset)}
                except NotFound:
                    there = set()
                found |= {asset for table, asset in wanted.items() if table not in there}
        return found

    def delete_rows(self, table: str, condition: str) -> None:
        with self.reading() as reader:
            # As the models' days are replaced: a MERGE that matches nothing, which emulators know, too.
            reader.rows(
                f"merge into {table} as held using (select 1) as nothing on false"
                f" when not matched by source and {condition} then delete"
            )

    def pool(self, domain: str) -> str:
        # Tables of one domain are written by one run at a time, so that what is recorded of a day is what it holds.
        return f"warehouse_{domain}"

    def lake(self) -> ConfigurableIOManager:
        from analytics_assets.warehouse.bigquery.loading import LoadedByDay

        return LoadedByDay.of(self.settings)

    def resources(self) -> Mapping[str, Any]:
        return {"bigquery": api_of(self.settings)}

    def naming(self) -> Mapping[str, Any]:
        place = place_of(self.settings)
        return {"bigquery": {"method": "oauth", "project": place.project}, "dataset": place.dataset}

    def variables(self) -> Mapping[str, Any]:
        place = place_of(self.settings)
        method = "oauth-secrets" if place.api_endpoint else "service-account" if place.key_file else "oauth"
        return {
            "bigquery": {
                "method": method,
                "project": place.project,
                "location": place.location,
                "keyfile": str(place.key_file) if place.key_file else None,
                "api_endpoint": place.api_endpoint,
                "maximum_bytes_billed": place.maximum_bytes_billed,
            },
            "dataset": place.dataset,
            "partition_expiration_days": place.partition_expiration_days,
        }

    def quoted(self, name: str) -> str:
        return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"

    def text(self, value: str) -> str:
        escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
        return f"'{escaped}'"
