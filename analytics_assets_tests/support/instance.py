"""Dagster's instance in memory, as `DagsterInstance.ephemeral()`, on connections that stay open.

Dagster opens a connection for each event and each question and sets it up anew, which takes longer than the question.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from dagster import DagsterInstance
from dagster._core.storage.event_log.in_memory import InMemoryEventLogStorage
from dagster._core.storage.runs.in_memory import InMemoryRunStorage
from sqlalchemy import Connection, SingletonThreadPool, create_engine, event


def ephemeral_instance() -> DagsterInstance:
    """An instance that is gone with the test."""
    instance = DagsterInstance.ephemeral()
    for storage, name in ((instance.run_storage, "connect"), (instance.event_log_storage, "_connect")):
        assert isinstance(storage, InMemoryRunStorage | InMemoryEventLogStorage)
        setattr(storage, name, _connecting(storage))
    return instance


def _connecting(storage: InMemoryRunStorage | InMemoryEventLogStorage) -> object:
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
