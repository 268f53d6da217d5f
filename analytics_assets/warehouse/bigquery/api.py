"""How BigQuery is reached: Dagster's resource, the settings of the place, and which dataset a layer is."""

from collections.abc import Iterator
from contextlib import contextmanager

from dagster_gcp import BigQueryResource
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from google.oauth2.service_account import Credentials

from analytics_assets.foundation.failures import said_by_google, sentence
from analytics_assets.settings import DEVELOPER_PREFIX, BigQuery, Settings
from analytics_assets.warehouse.interface import CannotRead

RAW_SCHEMA = "raw"


class BigQueryApi(BigQueryResource):
    """Dagster's resource for BigQuery, with a key in a file, and with the API at another address."""

    key_file: str | None = None
    api_endpoint: str | None = None

    @contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        """A client, which is closed when the block ends.

        Raises:
            CannotRead: there is no key, or none in the file.
        """
        if self.api_endpoint:
            options = {"api_endpoint": self.api_endpoint}
            client = bigquery.Client(
                self.project, AnonymousCredentials(), location=self.location, client_options=options
            )
        elif self.key_file:
            client = bigquery.Client(self.project, _key_in(self.key_file), location=self.location)
        else:
            try:
                client = bigquery.Client(self.project, location=self.location)
            except GoogleAuthError as error:
                raise CannotRead(sentence(said_by_google(error))) from error
        with client:
            yield client


def _key_in(file: str) -> Credentials:
    try:
        return Credentials.from_service_account_file(file)
    except (OSError, ValueError) as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise CannotRead(f"ANALYTICS_BIGQUERY__KEY_FILE={file} holds no key of a service account: {why}") from error


def api_of(settings: Settings) -> BigQueryApi:
    """The resource as the settings say."""
    place = place_of(settings)
    return BigQueryApi(
        project=place.project,
        location=place.location,
        key_file=str(place.key_file) if place.key_file else None,
        api_endpoint=place.api_endpoint,
    )


def place_of(settings: Settings) -> BigQuery:
    """The settings of BigQuery.

    Raises:
        ValueError: there are none.
    """
    if settings.bigquery is None:
        raise ValueError("BigQuery is not set up: set ANALYTICS_BIGQUERY__PROJECT")
    return settings.bigquery


def dataset_of(settings: Settings, layer: str) -> str:
    """The dataset of a layer: one each in production, one for everything of a developer's."""
    if settings.dbt_target == "dev":
        return f"{DEVELOPER_PREFIX}{settings.user}"
    return f"{place_of(settings).dataset}_{layer}"
