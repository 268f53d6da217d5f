"""The private names of Dagster's storage. Importing them takes a tenth of a second, mostly for Alembic."""

# The event log keeps its connections open and writes whole batches; otherwise it is Dagster's own.
from dagster._core.storage.event_log import SqlEventLogStorageTable as SqlEventLogStorageTable
from dagster._core.storage.event_log import SqliteEventLogStorage as SqliteEventLogStorage
