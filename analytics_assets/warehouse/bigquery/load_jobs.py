"""Raw days on BigQuery: each day's Parquet file in the lake becomes a partition of a native table, by one load job.

Waiting for a job and trying again is done by Google's client. Its own here are the ids of the jobs, the count of the
rows, and which job is followed by another: the client starts only queries anew (googleapis/python-bigquery, issue 969).
Which days are loaded is not known here. Importing this module imports Google's libraries; whoever only declares assets
imports it where a day is loaded.
"""

import hashlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import cast

import polars as pl
from google.api_core.exceptions import Conflict, GoogleAPICallError, NotFound, RetryError
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from polars.datatypes import DataTypeClass

from analytics_assets.foundation.failures import is_transient, is_transient_at_google, said_by_google, sentence
from analytics_assets.foundation.plain_text import logger_of
from analytics_assets.foundation.words import plural
from analytics_assets.spec.source import PolarsType, Source

DAY_COLUMN = "_day"
"""The partition's day; in the lake it is the name of the folder."""

_LOG = logger_of(__name__)


class LoadError(Exception):
    """A day was not loaded; the message says why."""


class LoadUnavailable(LoadError, ConnectionError):
    """BigQuery did not load it in the time that was had; later it may."""


class LoadRefused(LoadError):
    """BigQuery refused, and would refuse again."""


# -------------------------------------------------------------------------------------------------------- schema

_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)

_TYPES: Mapping[DataTypeClass, str] = {
    pl.String: "STRING",
    **dict.fromkeys(_INTEGERS, "INTEGER"),
    pl.Float32: "FLOAT",
    pl.Float64: "FLOAT",
    pl.Boolean: "BOOLEAN",
    pl.Date: "DATE",
    pl.Binary: "BYTES",
    pl.Time: "TIME",
}

_WRITTEN: Mapping[str, PolarsType] = {
    "STRING": pl.String,
    "INTEGER": pl.Int64,
    "FLOAT": pl.Float64,
    "BOOLEAN": pl.Boolean,
    "DATE": pl.Date,
    "BYTES": pl.Binary,
    "TIME": pl.Time,
    "TIMESTAMP": pl.Datetime("us", "UTC"),
}
"""As which Polars type a column of a BigQuery type stands in the file; decimals keep their own."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
"""What BigQuery takes as a column's name without being asked for more; "flexible" names it takes from Parquet in some
projects only, and models would have to quote them. The prefixes that it keeps for itself (_TABLE_, _FILE_, _PARTITION,
_ROW_TIMESTAMP, __ROOT__, _COLIDENTIFIER, _CHANGE_…) begin with _, which no column of a source does."""


def raw_schema(source: Source) -> list[bigquery.SchemaField]:
    """The columns of a source's raw table: its day, then those of a landed row.

    Only the day is REQUIRED: what else no row may leave empty is the business of landing, and a column that became
    optional could not be loaded any more.

    Raises:
        ValueError: BigQuery has no such column.
    """
    fields = [bigquery.SchemaField(DAY_COLUMN, "DATE", mode="REQUIRED")]
    names: dict[str, str] = {}
    for name, dtype in source.schema.items():
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"source {source.name}: BigQuery takes no column named {name!r}; rename it in the spec, to at most 300 "
                "letters (a to z), digits and _, a digit not being the first"
            )
        if (other := names.setdefault(name.lower(), name)) != name:
            raise ValueError(
                f"source {source.name}: to BigQuery {other!r} and {name!r} are the same column; rename one in the spec"
            )
        kind = _bigquery_type(dtype)
        if kind is None:
            raise ValueError(
                f"source {source.name}: {name} is of type {dtype}, for which BigQuery has no column that holds the "
                "same; make it text, a number, a decimal, a boolean, a date, a time, or a time stamp in micro- or "
                "milliseconds without a zone in the spec"
            )
        fields.append(bigquery.SchemaField(name, kind, mode="NULLABLE"))
    return fields


def _bigquery_type(dtype: PolarsType) -> str | None:
    """The name that the API has for the type of a column; None if there is none."""
    base = dtype.base_type()
    if base is pl.Datetime:
        stamp = cast(pl.Datetime, dtype() if isinstance(dtype, DataTypeClass) else dtype)
        return "TIMESTAMP" if stamp.time_unit in ("us", "ms") and stamp.time_zone is None else None
    if base is pl.Decimal:
        # NUMERIC has 9 digits behind the point and 29 before it; BIGNUMERIC 38 and 38, and so all that Polars has.
        number = cast(pl.Decimal, dtype() if isinstance(dtype, DataTypeClass) else dtype)
        return "NUMERIC" if number.scale <= 9 and number.precision - number.scale <= 29 else "BIGNUMERIC"
    return _TYPES.get(base)


def day_file(parquet: Path, day: date, into: Path, source: Source) -> None:
    """Writes the file that is loaded: the rows of a day of the lake, with their day, in the columns of `raw_schema`.

    A column that the lake's file lacks, because it is older than the spec, is null.

    Raises:
        polars.exceptions.PolarsError: a value does not fit the column's type.
    """
    import pyarrow

    rows = pl.scan_parquet(parquet, glob=False, hive_partitioning=False)
    held = rows.collect_schema()
    columns: list[pl.Expr] = [pl.lit(day, pl.Date).alias(DAY_COLUMN)]
    for column in raw_schema(source)[1:]:
        dtype = _WRITTEN.get(column.field_type, source.schema[column.name])
        if column.name not in held:
            columns.append(pl.lit(None, dtype).alias(column.name))
        elif column.field_type == "TIMESTAMP":
            # Without a zone, Parquet says "local time", which BigQuery reads as DATETIME.
            columns.append(pl.col(column.name).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
        else:
            columns.append(pl.col(column.name).cast(dtype))
    chosen = rows.select(columns)
    # Polars knows no required columns, and writes times in nanoseconds, of which BigQuery reads nothing.
    arrow = pl.DataFrame(schema=chosen.collect_schema()).to_arrow().schema
    arrow = pyarrow.schema(
        (one.with_type(pyarrow.time64("us")) if pyarrow.types.is_time(one.type) else one).with_nullable(
            one.name != DAY_COLUMN
        )
        for one in arrow
    )
    chosen.sink_parquet(into, compression="zstd", arrow_schema=arrow)


# ---------------------------------------------------------------------------------------------------------- jobs


def job_id_of(table: str, day: date, version: str, run_id: str, retry_number: int) -> str:
    """The id of the load of a day: the same for the same content, run and retry; any other has another.

    BigQuery takes letters, digits, _ and -, up to 1,024 of them; the number of the try is still to be added.
    """
    digest = hashlib.sha256(repr((table, day, version, run_id, retry_number)).encode()).hexdigest()
    name = re.sub(r"[^A-Za-z0-9_]", "_", table.rpartition(".")[2])
    return f"load-{name[:300]}-{day:%Y%m%d}-{digest[:32]}"


@dataclass(frozen=True)
class Loaded:
    """What a load came to.

    Attributes:
        job_id: of the job that loaded the day; None where none was needed, since the day is empty.
        rows: that the day has now.
        output_bytes: of the day in BigQuery, before compression: what a query of all its columns is billed for.
        tries: how often it was asked for.
    """

    job_id: str | None
    rows: int
    output_bytes: int
    tries: int


def load_day(
    client: bigquery.Client,
    file: Path,
    table: str,
    day: date,
    schema: Sequence[bigquery.SchemaField],
    *,
    expected_rows: int,
    job_id: str,
    labels: Mapping[str, str],
    patience_seconds: float,
) -> Loaded:
    """Replaces a day of a table by the rows of a file, all or nothing, however often that takes.

    The table is there, as `make_table` leaves it. A column that the spec lost or that changed its type is refused: then
    the table is to be dropped and its days are to be loaded again.

    Args:
        client: with the location of the dataset; without it, jobs outside of US and EU are not found again.
        file: as `day_file` writes it.
        table: as `project.dataset.table`.
        job_id: as `job_id_of` makes it, to which the number of the job is added: to ask for it again is harmless.
        labels: of the job; they stand on the bill and in INFORMATION_SCHEMA.
        patience_seconds: how long it is tried for, with all waits.

    Raises:
        LoadRefused: it would be refused again; or the day has other rows now than it should.
        LoadUnavailable: it was not loaded in time, but may be later.
    """
    from pyarrow import parquet

    rows = parquet.read_metadata(file).num_rows
    if rows != expected_rows:
        raise LoadRefused(
            f"{table} {day}: the file holds {plural(rows, 'row')} instead of {expected_rows}; it was not loaded"
        )
    load = _Load(client, table, day, rows, job_id, patience_seconds)
    config = _job_config(schema, labels, patience_seconds)
    again = bigquery.DEFAULT_RETRY.with_predicate(_may_pass).with_delay(1, 60, 2).with_timeout(patience_seconds)
    try:
        loaded = again(load.load)(file, config) if rows else again(load.empty)()
    except RetryError as error:
        load.cancel()
        raise load.given_up(error) from error
    except (GoogleAPICallError, GoogleAuthError) as error:
        raise load.refusal(said_by_google(error)) from error
    _LOG.info(
        "%s %s: %s rows, %s bytes, job %s, tries: %s",
        *(table, day, loaded.rows, loaded.output_bytes, loaded.job_id, loaded.tries),
    )
    return loaded


_ONCE = bigquery.DEFAULT_RETRY.with_predicate(lambda error: False)
"""Of requests that the load around them, or the step, tries again: there patience ends once, and tries are counted."""

_SILENCE_SECONDS = 120.0
"""So long a server may be silent; without it, Google's client waits for ever."""

_SHORTEST_TIMEOUT_SECONDS = 60.0

_ENDED_FROM_OUTSIDE = frozenset({"stopped", "timeout"})
"""Why a job ends that was cancelled, or that took longer than it may: asking for another at once would be no use."""


def make_dataset(client: bigquery.Client, dataset: str) -> None:
    """Makes a dataset that is not there. One that is there is only looked at, which needs no right to make any.

    Args:
        client: with the location in which it is made.
        dataset: as `project.dataset`.

    Raises:
        GoogleAPICallError: it may not be made, or BigQuery cannot be asked now.
    """
    try:
        client.get_dataset(dataset, retry=_ONCE, timeout=_SILENCE_SECONDS)
    except NotFound:
        # Another run may make it at the same time.
        client.create_dataset(dataset, exists_ok=True, retry=_ONCE, timeout=_SILENCE_SECONDS)


@contextmanager
def told_plainly(what: str) -> Iterator[None]:
    """Says of what an error is, and whether it may pass.

    Raises:
        LoadRefused: it will not pass by itself.
        LoadUnavailable: it may.
    """
    try:
        yield
    except Exception as error:
        refused = LoadUnavailable if is_transient(error) else LoadRefused
        raise refused(sentence(f"{what}: {said_by_google(error)}")) from error


def make_table(
    client: bigquery.Client,
    table: str,
    schema: Sequence[bigquery.SchemaField],
    expiration_days: float | None,
) -> bool:
    """Sees that a table is there, partitioned by day, with all columns.

    Several load jobs that made it, or added a column to it, at the same time would hinder each other.

    Args:
        table: as `project.dataset.table`.
        expiration_days: BigQuery drops days that are older; None leaves a table as it is.

    Returns:
        Whether it was not there.

    Raises:
        GoogleAPICallError: it cannot be made or changed.
    """
    partitioning = bigquery.TimePartitioning(type_=bigquery.TimePartitioningType.DAY, field=DAY_COLUMN)
    if expiration_days is not None:
        partitioning.expiration_ms = int(timedelta(days=expiration_days).total_seconds() * 1000)
    try:
        held = client.get_table(table, retry=_ONCE, timeout=_SILENCE_SECONDS)
    except NotFound:
        new = bigquery.Table(table, schema=list(schema))
        new.time_partitioning = partitioning
        client.create_table(new, exists_ok=True, retry=_ONCE, timeout=_SILENCE_SECONDS)
        return True
    names, changed = {column.name.lower() for column in held.schema}, []
    if lacking := [column for column in schema if column.name.lower() not in names]:
        held.schema = [*held.schema, *lacking]
        changed.append("schema")
    age = held.time_partitioning.expiration_ms if held.time_partitioning else None
    if partitioning.expiration_ms not in (None, age):
        held.time_partitioning = partitioning
        changed.append("time_partitioning")
    if changed:
        client.update_table(held, changed, retry=_ONCE, timeout=_SILENCE_SECONDS)
    return False


class _FailedForNow(Exception):
    """A job ended without loading; another one may load."""


def _may_pass(error: Exception) -> bool:
    """Whether the load is tried again; more reasons pass than those of `bigquery.DEFAULT_RETRY`, all for requests."""
    if isinstance(error, LoadError | RetryError):  # which tell that it was tried for long enough
        return False
    return isinstance(error, _FailedForNow) or is_transient(error)


def _may_be_found(error: Exception) -> bool:
    """Whether a job is looked for again: one that is there is not found for some seconds (python-bigquery, 2134)."""
    return isinstance(error, NotFound) or is_transient(error)


@dataclass
class _Load:
    """The load of a day, while it is tried.

    Attributes:
        number: of the job; only one that ended without loading is followed by another.
        is_asked: whether that job may be there.
        tries: so far.
    """

    client: bigquery.Client
    table: str
    day: date
    rows: int
    prefix: str
    patience_seconds: float
    began: float = field(default_factory=time.monotonic)
    number: int = 1
    is_asked: bool = False
    tries: int = 0

    @property
    def job_id(self) -> str:
        return f"{self.prefix}-{self.number}"

    @property
    def partition(self) -> str:
        return f"{self.table}${self.day:%Y%m%d}"

    @property
    def passed(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self.began

    def load(self, file: Path, config: bigquery.LoadJobConfig) -> Loaded:
        """One try, for as long as the job takes."""
        self.tries += 1
        left = max(0.0, self.patience_seconds - self.passed)
        looking = bigquery.DEFAULT_RETRY.with_predicate(_may_be_found).with_timeout(left)
        job = self._submit(file, config)
        if job is None:
            job = cast(bigquery.LoadJob, self.client.get_job(self.job_id, retry=looking, timeout=_SILENCE_SECONDS))
        try:
            job.result(retry=looking, timeout=left)
        except TimeoutError as error:
            self.cancel()
            raise LoadUnavailable(
                f"{self.table} {self.day}: job {self.job_id} is still {job.state} after {self.passed:.0f} s; it was "
                "cancelled"
            ) from error
        except GoogleAPICallError as error:
            if not job.error_result:  # it was a look at the job that failed
                raise
            raise self._failure(job.error_result) from error
        if job.output_rows != self.rows:
            raise LoadRefused(
                f"{self.table} {self.day}: job {self.job_id} loaded {plural(job.output_rows, 'row')} instead of "
                f"{self.rows}, and "
                "the day holds those now; make it again, and tell Google's support if it comes to the same"
            )
        return Loaded(self.job_id, self.rows, job.output_bytes or 0, self.tries)

    def empty(self) -> Loaded:
        """One try to leave a day without rows.

        That a Parquet file without rows replaces a partition is documented nowhere (people report it of whole tables
        only), that tables.delete with a decorator deletes the partition is. Deleting it needs no job, costs nothing
        and is as atomic.
        """
        self.tries += 1
        self.client.delete_table(self.partition, retry=_ONCE, timeout=_SILENCE_SECONDS, not_found_ok=True)
        return Loaded(None, 0, 0, self.tries)

    def cancel(self) -> None:
        """Asks for the end of a job that may still run: it must not replace what is loaded after it."""
        if self.is_asked:
            with suppress(Exception):
                self.client.cancel_job(self.job_id, retry=_ONCE, timeout=_SILENCE_SECONDS)

    def given_up(self, error: RetryError) -> LoadUnavailable:
        """What is raised when patience has ended."""
        tries = "1 try" if self.tries == 1 else f"{self.tries} tries"
        cause = error.cause or error
        said = str(cause) if isinstance(cause, _FailedForNow) else said_by_google(cause)
        return LoadUnavailable(f"{self.table} {self.day}: {said}; given up after {tries} in {self.passed:.0f} s")

    def refusal(self, said: str) -> LoadRefused:
        """What is raised when it would be refused again."""
        return LoadRefused(sentence(f"{self.table} {self.day} keeps the rows that it had: {said}"))

    def _submit(self, file: Path, config: bigquery.LoadJobConfig) -> bigquery.LoadJob | None:
        """Asks for the job; None if it is there already.

        It is when the connection was lost after it had been taken, or when this run asked for it before.
        """
        self.is_asked = True
        try:
            with file.open("rb") as content:
                return self.client.load_table_from_file(
                    content,
                    self.partition,
                    rewind=True,
                    size=file.stat().st_size,  # small files go up in one request then
                    num_retries=0,  # they know nothing of patience, and do not count as tries
                    job_id=self.job_id,
                    job_config=config,
                    timeout=_SILENCE_SECONDS,
                )
        except Conflict:
            return None

    def _failure(self, ended: Mapping[str, str]) -> Exception:
        """The error with which a job ended."""
        reason, said = ended.get("reason", ""), ended.get("message", "")
        text = f"job {self.job_id} failed: {said} ({reason})"
        self.is_asked = False
        if reason in _ENDED_FROM_OUTSIDE:
            return LoadUnavailable(f"{self.table} {self.day}: {text}")
        if not is_transient_at_google(reason, said):
            return self.refusal(text)
        self.number += 1
        return _FailedForNow(text)


def _job_config(
    schema: Sequence[bigquery.SchemaField], labels: Mapping[str, str], patience_seconds: float
) -> bigquery.LoadJobConfig:
    config = bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET,
        schema=list(schema),
        write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
        create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
        labels=dict(labels),
    )
    # A job whose process was killed must not end hours later, and replace what was loaded after it.
    config.job_timeout_ms = int(max(patience_seconds, _SHORTEST_TIMEOUT_SECONDS) * 1000)
    if any(column.field_type == "BIGNUMERIC" for column in schema):  # else Parquet's decimals are NUMERIC
        config.decimal_target_types = [bigquery.DecimalTargetType.NUMERIC, bigquery.DecimalTargetType.BIGNUMERIC]
    return config
