"""The stores are SQLite files; their tables and statements are such that PostgreSQL takes them, too."""

from pathlib import Path

import pytest
from sqlalchemy import MetaData
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from analytics_assets.extract import known_records
from analytics_assets.operations import alerts
from analytics_assets.state import attempts, builds, check_results, ledger

STORES = {module.__name__: module.TABLES for module in (known_records, alerts, attempts, builds, check_results, ledger)}


@pytest.mark.parametrize("tables", STORES.values(), ids=STORES)
def test_postgresql_would_have_the_same_tables(tables: MetaData) -> None:
    for table in tables.sorted_tables:
        made = str(CreateTable(table).compile(dialect=postgresql.dialect()))
        assert all(column.name in made for column in table.c)
        for index in table.indexes:
            CreateIndex(index).compile(dialect=postgresql.dialect())


def test_no_statement_is_written_for_sqlite_alone() -> None:
    """What SQLite alone understands stands in the module that opens the stores."""
    package = Path(ledger.__file__).parent.parent
    said = {
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if any(word in file.read_text() for word in ("exec_driver_sql", "json_each", "pragma ", "import text\n"))
    }
    assert said == {"state/database.py", "operations/home.py"}, "the latter looks at Dagster's own databases"
