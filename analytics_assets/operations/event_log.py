"""Dagster's SQLite event log, adapted to runs of many days: open connections, whole batches, no event twice.

The stock event log reopens the database for each event, which takes some 10 ms. It keeps two events per asset and day,
each in two databases, and one event per check and day: 18 KB per asset and day. A first load of ten years would take
hours. `dagster.yaml` names this class; nothing else in the project refers to it.
"""

import os
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import DagsterEventType, EventLogEntry
from sqlalchemy import Connection, Engine, create_engine, exists

from analytics_assets.dagster_internals import ConfigurableClassData, copy
from analytics_assets.dagster_internals.storage import SqlEventLogStorageTable, SqliteEventLogStorage

OPEN_DATABASES = 8  # each run has a database of its own; a long-lived process must not keep all of them open
BUSY_TIMEOUT_SECONDS = 60

_OF_DAYS = (DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_MATERIALIZATION_PLANNED)

_TEMPORARY_HOME = "ANALYTICS_TEMPORARY_DAGSTER_HOME"
"""Set by the project for the processes that it starts; no setting."""

BATCH = 500
"""Maximum number of events in one transaction."""

DAYS_IN_RUN_LOG = 100
"""Maximum number of days per batch in the run's log; of more, it holds only the last. The asset's page has them all."""


class PooledSqliteEventLog(SqliteEventLogStorage):
    """Stored in Dagster's default place and format: either class can read what the other wrote."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(BATCH))  # Dagster's only switch for batches
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """No settings: the log is in DAGSTER_HOME, or in a temporary folder if that is not set."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledSqliteEventLog":
        """The event log in DAGSTER_HOME; if that is not set, a temporary one, as in Dagster's own commands."""
        home = os.environ.get("DAGSTER_HOME") or os.environ.get(_TEMPORARY_HOME)
        if not home:  # the processes that this one starts are to write into the same log
            home = os.environ[_TEMPORARY_HOME] = tempfile.mkdtemp(prefix="dagster-")
        return cls(str(Path(home) / "history" / "runs"), inst_data)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Stores events of single days in one transaction per database and run; others as the stock log does."""
        of_days = [event for event in events if _is_of_day(event)]
        # First, since Dagster stores all events of a batch singly where one of them could not be stored.
        for run_id in dict.fromkeys(event.run_id for event in of_days):
            self._store_days(run_id, [event for event in of_days if event.run_id == run_id])
        for event in events:
            if not _is_of_day(event):
                self.store_event(event)

    def _store_days(self, run_id: str, events: Sequence[EventLogEntry]) -> None:
        """Stores the planned and finished materializations of single days in a run."""
        events = [_slim(event) for event in events]
        rows = [self._event_to_row(event) for event in events]
        made = [row for row in rows if row["dagster_event_type"] == DagsterEventType.ASSET_MATERIALIZATION.value]
        with self.index_transaction() as connection:
            insert = SqlEventLogStorageTable.insert().returning(
                SqlEventLogStorageTable.c.id, sort_by_parameter_order=True
            )
            ids = [int(row[0]) for row in connection.execute(insert, rows)]
            self._store_asset_event_tags(connection, events, ids)
            newest = {row["asset_key"]: place for place, row in enumerate(rows)}
            for place in newest.values():
                self._store_asset_event(connection, events[place], ids[place])
            for asset in {row["asset_key"] for row in made}:
                # A day that was made is no longer planned; planned events mark only days in progress or failed.
                days = [row["partition"] for row in made if row["asset_key"] == asset]
                # Where an earlier run of the day failed, the plan stays: the UI takes the newest for the newest run.
                planned, earlier = SqlEventLogStorageTable, SqlEventLogStorageTable.alias()
                kind = DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value
                connection.execute(
                    planned.delete().where(
                        planned.c.asset_key == asset,
                        planned.c.dagster_event_type == kind,
                        planned.c.run_id == run_id,
                        planned.c.partition.in_(days),
                        ~exists().where(
                            earlier.c.asset_key == asset,
                            earlier.c.dagster_event_type == kind,
                            earlier.c.run_id != run_id,
                            earlier.c.partition == planned.c.partition,
                        ),
                    )
                )
        with self.run_connection(run_id) as connection:
            if shown := made if len(made) <= DAYS_IN_RUN_LOG else made[-1:]:
                connection.execute(SqlEventLogStorageTable.insert(), shown)

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        """Stores one plan per check and run, since the check is evaluated once; the stock log stores one per day."""
        dagster_event = event.get_dagster_event()
        planned = dagster_event.asset_check_planned_data
        if planned.partitions_subset is not None:
            once = dagster_event._replace(event_specific_data=copy(planned, partitions_subset=None))
            event = event._replace(dagster_event=once)
        super()._store_asset_check_evaluation_planned(event, event_id)

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


def _is_of_day(event: EventLogEntry) -> bool:
    return event.dagster_event_type in _OF_DAYS and bool(event.get_dagster_event().partition)


def _slim(event: EventLogEntry) -> EventLogEntry:
    """An event of one day without the parts that all events of its batch share: more than half of its size."""
    slim = event.get_dagster_event()._replace(logging_tags={}, step_handle=None, node_handle=None, pid=None, message="")
    return event._replace(dagster_event=slim, user_message="")
