"""BigQuery as far as an emulator is one: a server on loopback that runs its SQL, and projects that live in it.

Loads into a partition it does not know: raw days are put into its tables directly. The load jobs themselves are
tested against a stand-in of the API, in test_load_jobs.py.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from analytics_assets.settings import BigQuery
from analytics_assets.warehouse.bigquery import loading
from analytics_assets.warehouse.bigquery.api import api_of
from analytics_assets.warehouse.bigquery.load_jobs import Loaded
from analytics_assets.warehouse.choice import warehouse_of
from analytics_assets.warehouse.interface import Reader
from analytics_assets_tests.support.emulator_server import FLAGS
from analytics_assets_tests.support.project import Project

SERVER = Path(__file__).with_name("emulator_server.py")


@dataclass
class Emulator:
    """A running emulator."""

    url: str

    def make_table(self, client: bigquery.Client, table: str, *of: Any) -> bool:
        """What stands in for making a table of raw days: it knows no partitions, and the first load makes it."""
        try:
            client.get_table(table)
        except NotFound:
            return True
        return False

    def load(
        self,
        client: bigquery.Client,
        file: Path,
        table: str,
        day: date,
        schema: Sequence[bigquery.SchemaField],
        **of: Any,
    ) -> Loaded:
        """What stands in for a load job."""
        columns = ",".join(f"{one.name}:{one.field_type}" for one in schema)
        answer = httpx.post(
            f"{self.url}/raw/{table.replace('.', '/')}/{day}",
            params={"columns": columns},
            content=file.read_bytes(),
            timeout=60,
        )
        return Loaded(of["job_id"], answer.raise_for_status().json()["rows"], 0, 1)

    def statements(self, holding: str) -> list[str]:
        """The statements that it was asked to run and that hold a text."""
        return [sql for sql in self._asked()["statements"] if holding in sql]

    def patched(self, table: str) -> dict[str, Any]:
        """What a table was last asked to become beside its statements."""
        found: dict[str, Any] = self._asked()["patched"][table]
        return found

    def _asked(self) -> dict[str, Any]:
        asked: dict[str, Any] = httpx.get(f"{self.url}/asked", timeout=60).json()
        return asked

    def changed(self, pattern: str) -> list[str]:
        """The statements that it could run only after they were changed."""
        return [sql for sql in self.statements("") if re.search(pattern, sql, FLAGS)]


@contextmanager
def emulating() -> Iterator[Emulator]:
    """An emulator, for as long as the block lasts."""
    with subprocess.Popen([sys.executable, str(SERVER)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            emulator = Emulator(f"http://127.0.0.1:{int(process.stdout.readline())}")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(loading, "load_day", emulator.load)
                patch.setattr(loading, "make_table", emulator.make_table)
                yield emulator
        finally:
            process.kill()


@dataclass
class BigQueryProject(Project):
    """A project whose warehouse is the emulator; each has datasets of its own."""

    emulator: Emulator | None = None
    dataset: str = "analytics"
    places: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.emulator is not None
        place = BigQuery(project="a-project", dataset=self.dataset, api_endpoint=self.emulator.url, **self.places)
        self.changes = {**self.changes, "warehouse": "bigquery", "bigquery": place}
        super().__post_init__()

    @contextmanager
    def client(self) -> Iterator[bigquery.Client]:
        """A client of Google's library."""
        with api_of(self.settings).get_client() as client:
            yield client

    def frame(self, asset: str, reader: Reader | None = None) -> pl.DataFrame:
        """All rows of an asset, with the partition's day as `the_day`."""
        if asset.startswith("raw_"):
            return super().frame(asset)
        node = self.node(asset)
        with nullcontext(reader) if reader else warehouse_of(self.settings).reading() as opened:
            found = opened.rows(f"select *, {node['config']['meta']['day']} as the_day from {node['relation_name']}")
        return pl.DataFrame(
            {name: [row[number] for row in found.rows] for number, name in enumerate(found.names)}, strict=False
        )
