"""Dagster's instance in memory, as `DagsterInstance.ephemeral()`, on connections that stay open.

Dagster opens a connection for each event and each question and sets it up anew, which takes longer than the question.
It also reads all of its migrations to say at which one a new database is.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
from dagster import DagsterInstance
from dagster._core.storage.event_log import in_memory as event_log
from dagster._core.storage.runs import in_memory as runs
from sqlalchemy import Connection, SingletonThreadPool, create_engine, event


def ephemeral_instance() -> DagsterInstance:
    """An instance that is gone with the test."""
    with pytest.MonkeyPatch.context() as patched:
        for module in (runs, event_log):
            patched.setattr(module, "stamp_alembic_rev", lambda *_: None)
        instance = DagsterInstance.ephemeral()
    for storage, name in ((instance.run_storage, "connect"), (instance.event_log_storage, "_connect")):
        assert isinstance(storage, runs.InMemoryRunStorage | event_log.InMemoryEventLogStorage)
        setattr(storage, name, _connecting(storage))
    return instance


def _connecting(storage: runs.InMemoryRunStorage | event_log.InMemoryEventLogStorage) -> object:
    engine = create_engine(storage._engine.url, poolclass=SingletonThreadPool)
    one_at_a_time = getattr(storage, "_db_lock", nullcontext())

    @event.listens_for(engine, "connect")
    def _(connection: object, record: object) -> None:
        connection.execute("pragma foreign_keys = on")  # type: ignore[attr-defined]

    @contextmanager
    def connect() -> Iterator[Connection]:
        with one_at_a_time, engine.begin() as connection:
            yield connection

    return connect
