"""`analytics-assets materialize --new …`, killed with SIGKILL at one of its writes: `python -m … killed WRITE`.

Each write is named; the kill comes right before it counts, or right after. `SIGINT` and `SIGTERM` instead of a write
send that signal to the process while one of dbt's threads is in a query that would go on for hours.
"""

import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper

from analytics_assets.cli.app import app
from analytics_assets.dbt.changed_keys import ChangedKeys
from analytics_assets.warehouse.duckdb.warehouse import DuckDBWarehouse


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_the_renaming(part: str, *, after: bool = False) -> Callable[[], None]:
    """The kill when a whole new file takes its name below a folder, which is how every file is written."""

    def arm() -> None:
        real = Path.replace

        def replace(self: Path, target: Any) -> Path:
            if part not in str(target):
                return real(self, target)
            if after:
                real(self, target)
            die()
            raise AssertionError

        Path.replace = replace  # type: ignore[method-assign]

    return arm


def at_the_commit_to(part: str, of: str = "") -> Callable[[], None]:
    """The kill when a transaction of one of the SQLite stores is about to commit."""

    def arm() -> None:
        real = sqlite3.connect

        def connect(path: Any, *arguments: Any, **named: Any) -> sqlite3.Connection:
            connection = real(path, *arguments, **named)
            said: list[str] = []

            def listen(sql: str) -> None:
                said.append(sql.lower())
                if said[-1] == "commit" and any(of in one for one in said):
                    die()

            if part in str(path):
                connection.set_trace_callback(listen)
            return connection

        sqlite3.connect = connect  # type: ignore[assignment]

    return arm


def in_a_dbt_transaction(part: str) -> Callable[[], None]:
    """The kill when dbt has changed a table and not committed yet."""

    def arm() -> None:
        real = DuckDBCursorWrapper.execute

        def execute(self: Any, sql: str, bindings: Any = None) -> Any:
            done = real(self, sql, bindings)
            if "insert into" in sql.lower() and part in sql:
                die()
            return done

        DuckDBCursorWrapper.execute = execute  # type: ignore[method-assign]

    return arm


def in_an_endless_query(signal_number: int) -> Callable[[], None]:
    """The signal while dbt makes a table."""

    def arm() -> None:
        real = DuckDBCursorWrapper.execute

        def execute(self: Any, sql: str, bindings: Any = None) -> Any:
            if "mart_company_daily" in sql and "create" in sql.lower():
                os.kill(os.getpid(), signal_number)
                return real(self, "select count(*) from range(1_000_000) a, range(1_000_000_000) b where a.range < 0")
            return real(self, sql, bindings)

        DuckDBCursorWrapper.execute = execute  # type: ignore[method-assign]

    return arm


SIGNALS = {one.name: in_an_endless_query(one) for one in (signal.SIGINT, signal.SIGTERM)}

MATERIALIZE = ["materialize", "--new", "--select", "group:consent"]
"""One domain: what its writes survive, those of all others do."""

WRITES: dict[str, Callable[[], None]] = {
    "landing piece": at_the_renaming("/lake/landed/"),
    "landing piece, renamed": at_the_renaming("/lake/landed/", after=True),
    "rejects": at_the_renaming("/lake/rejects/"),
    "rejects, renamed": at_the_renaming("/lake/rejects/", after=True),
    "ledger": at_the_commit_to("ledger.sqlite"),
    "attempt": at_the_commit_to("attempts.sqlite", of="insert into"),
    "raw day": at_the_renaming("/lake/raw/"),
    "raw day, renamed": at_the_renaming("/lake/raw/", after=True),
    "record of a raw day": at_the_commit_to("/lake/raw/builds.sqlite"),
    "dbt transaction": in_a_dbt_transaction("mart_company_daily"),
    "record of a model's day": at_the_commit_to("/warehouse/builds.sqlite"),
    "published copy": at_the_renaming("/published/"),
    "published copy, renamed": at_the_renaming("/published/", after=True),
    "record of the published copy": at_the_commit_to("/published/builds.sqlite"),
    "export": at_the_renaming("/exports/"),
    "export, renamed": at_the_renaming("/exports/", after=True),
}


def in_a_call(owner: type, name: str) -> Callable[[], None]:
    """The kill when a method is called."""

    def arm() -> None:
        setattr(owner, name, lambda *_, **__: die())

    return arm


WRITES_BY_KEY = {
    "note of changed keys": in_a_dbt_transaction("stg_users__changed_"),
    "search for changed keys": in_a_call(ChangedKeys, "_search"),
    "key versions": at_the_commit_to("/warehouse/builds.sqlite", of="key_versions"),
    "forgetting the note": in_a_call(DuckDBWarehouse, "delete_rows"),
}
"""What a run writes, beside the above, where users are read by key."""

READS_USERS = "int_revenue"

BY_KEY = ["materialize", "--new", "--select", f"+{READS_USERS}"]
"""Up to the model that reads them; what is made of it is not read by key."""

if __name__ == "__main__":
    (WRITES | SIGNALS | WRITES_BY_KEY)[sys.argv[1]]()
    app(BY_KEY if sys.argv[1] in WRITES_BY_KEY else MATERIALIZE)
