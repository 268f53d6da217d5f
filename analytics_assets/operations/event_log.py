"""Dagster's own SQLite event log, with its connections kept open between events.

The stock one opens the database anew for each event, some 10 ms; a run of thirty days writes five hundred events.
`dagster.yaml` names this class; nothing else here knows of it.
"""

import os
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine

from analytics_assets.dagster_internals import ConfigurableClassData, SqliteEventLogStorage

OPEN_DATABASES = 8  # each run has a database of its own; a long-lived process must not keep all of them open
BUSY_TIMEOUT_SECONDS = 60


class PooledSqliteEventLog(SqliteEventLogStorage):
    """Lies where Dagster would put it by default, in the same format: either class can read what the other wrote."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Nothing: it lies in DAGSTER_HOME, or nowhere that lasts where there is none."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledSqliteEventLog":
        """The event log of DAGSTER_HOME; without one a temporary one, as Dagster's own commands have it then."""
        home = os.environ.get("DAGSTER_HOME") or tempfile.mkdtemp(prefix="dagster-")
        return cls(str(Path(home) / "history" / "runs"), inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> Engine:
        if shard not in self._engines:
            url = self.conn_string_for_shard(shard)
            self._engines[shard] = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
        self._engines.move_to_end(shard)
        while len(self._engines) > OPEN_DATABASES:
            self._engines.popitem(last=False)[1].dispose()
        return self._engines[shard]

    def dispose(self) -> None:
        """Closes every connection."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        super().dispose()
