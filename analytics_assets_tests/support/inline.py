"""SQL with the project's macros in it, filled in by dbt and run as it stands, on either warehouse."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from analytics_assets.dbt.runner import run_dbt
from analytics_assets.partitions import Window
from analytics_assets.settings import BigQuery, Settings
from analytics_assets.warehouse.choice import warehouse_of
from analytics_assets.warehouse.duckdb.warehouse import DuckDBReader
from analytics_assets.warehouse.interface import Reader, Warehouse
from analytics_assets_tests.support.emulator import Emulator
from analytics_assets_tests.support.project import WITHOUT_REPORTS, test_settings

SOURCES = [source for domain in WITHOUT_REPORTS for source in domain.sources]
_NEXT = "\n-- the next text\n"


def settings_on(emulator: Emulator, folder: Path) -> Settings:
    """Settings of a project whose warehouse is the emulator."""
    place = BigQuery(project="a-project", api_endpoint=emulator.url)
    return test_settings(folder, warehouse="bigquery", bigquery=place)


def typed(value: Any, kind: str, warehouse: Warehouse) -> str:
    """A value of a type that macros/types.sql knows, for dbt to fill in."""
    literal = "null" if value is None else f"{{% raw %}}{warehouse.text(str(value))}{{% endraw %}}"
    literal = literal.replace("\r", "' || chr(13) || '")  # which Jinja would take for the end of a line
    return f"cast({literal} as {{{{ type_of('{kind}') }}}})"


def filled_in(texts: Sequence[str], settings: Settings, window: Window) -> list[str]:
    """Some texts as dbt fills them in, in one run."""
    (result,) = run_dbt(["compile", "--inline", _NEXT.join(texts)], settings, SOURCES, window).results
    assert result.sql
    return result.sql.split(_NEXT)


@contextmanager
def reading(settings: Settings) -> Iterator[Reader]:
    """A reader, on DuckDB of an empty warehouse with what profiles.yml sets."""
    if settings.warehouse == "duckdb":
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(f"set file_search_path = '{settings.raw_dir}'")
            yield DuckDBReader(connection, settings.warehouse_file, "delete it")
        return
    with warehouse_of(settings).reading() as reader:
        yield reader


def as_on_duckdb(value: Any) -> Any:
    """A value as DuckDB's client gives it: BigQuery's times know that they are UTC, and its hashes are bytes."""
    if isinstance(value, datetime) and value.tzinfo is UTC:
        return value.replace(tzinfo=None)
    return value.hex() if isinstance(value, bytes) else value
