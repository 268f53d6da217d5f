"""Raw days on their way to BigQuery, against a stand-in on loopback that really reads what is loaded."""

import logging
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from datetime import time as clock_time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError
from google.cloud import bigquery
from pyarrow import parquet

from analytics_assets.foundation.failures import is_transient, sentence
from analytics_assets.spec.source import PolarsType, Source
from analytics_assets.warehouse.bigquery.load_jobs import (
    Loaded,
    LoadRefused,
    LoadUnavailable,
    day_file,
    job_id_of,
    load_day,
    make_table,
    raw_schema,
)
from analytics_assets_tests.support.bigquery_api import BigQueryApi, HeldTable, served
from analytics_assets_tests.support.project import DOMAINS

DAY, OTHER = date(2025, 3, 1), date(2025, 3, 2)
TABLE = "p.raw.events"
SOURCES = [source for domain in DOMAINS for source in domain.sources]


def source_of(**columns: PolarsType) -> Source:
    """A source with these columns beside its key."""
    return Source(
        name="events",
        patterns=("*.csv",),
        columns={"id": pl.String, "at": pl.Datetime("us"), **columns},
        primary_key=("id",),
        time="at",
    )


EVENTS = source_of(kind=pl.String, amount=pl.Decimal(18, 6))


def day_rows(source: Source, columns: dict[str, list[Any]]) -> pl.DataFrame:
    """Rows as they stand in the lake; what is not given is null."""
    height = len(next(iter(columns.values())))
    values = {name: columns.get(name, [None] * height) for name in source.schema}
    return pl.DataFrame(values, schema=dict(source.schema), strict=False)


def written(folder: Path, rows: pl.DataFrame, source: Source = EVENTS, day: date = DAY) -> Path:
    """The file that is loaded, by way of one in the lake."""
    lake, into = folder / f"_day={day}" / "data.parquet", folder / f"{day}.parquet"
    lake.parent.mkdir(exist_ok=True)
    rows.write_parquet(lake)
    day_file(lake, day, into, source)
    return into


def events(*ids: str) -> pl.DataFrame:
    return day_rows(EVENTS, {"id": list(ids)})


def held(source: Source) -> HeldTable:
    """The table of a source before anything is loaded."""
    columns = [column.to_api_repr() for column in raw_schema(source)]
    partitioning = {"type": "DAY", "field": "_day"}
    reference = {"projectId": "p", "datasetId": "raw", "tableId": "events"}
    return HeldTable({"tableReference": reference, "schema": {"fields": columns}, "timePartitioning": partitioning})


@contextmanager
def asking(api: BigQueryApi, location: str | None = None) -> Iterator[bigquery.Client]:
    """A client of a stand-in."""
    with (
        served(api) as url,
        bigquery.Client("p", AnonymousCredentials(), client_options={"api_endpoint": url}, location=location) as client,
    ):
        yield client


Loader = Callable[..., Loaded]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that Google's client would have waited for; none of them is."""
    found: list[float] = []
    clock = SimpleNamespace(sleep=found.append, monotonic=time.monotonic)
    monkeypatch.setattr("google.api_core.retry.retry_unary.time", clock)
    return found


@pytest.fixture
def loader(tmp_path: Path) -> Iterator[Callable[..., Loader]]:
    """Makes what loads a day into a stand-in."""
    stack = ExitStack()

    def make(api: BigQueryApi, client_location: str | None = None) -> Loader:
        client = stack.enter_context(asking(api, client_location))

        def load(rows: pl.DataFrame, source: Source = EVENTS, day: date = DAY, **changes: Any) -> Loaded:
            arguments: dict[str, Any] = {
                "expected_rows": rows.height,
                "job_id": "job",
                "labels": {"asset": "raw_events"},
                "patience_seconds": 60.0,
            }
            file = changes.pop("file", None) or written(tmp_path, rows, source, day)
            schema = changes.pop("schema", None) or raw_schema(source)
            if api.datasets:
                api.tables.setdefault("raw.events", held(source))
            return load_day(client, file, TABLE, day, schema, **(arguments | changes))

        return load

    with stack:
        yield make


def ids(api: BigQueryApi) -> list[str]:
    return sorted(api.rows("raw.events")["id"].to_list())


# -------------------------------------------------------------------------------------------------------- schema


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (pl.String, "STRING"),
        *((dtype, "INTEGER") for dtype in (pl.Int8, pl.Int16, pl.Int32, pl.Int64)),
        *((dtype, "INTEGER") for dtype in (pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)),
        (pl.Float32, "FLOAT"),
        (pl.Float64, "FLOAT"),
        (pl.Boolean, "BOOLEAN"),
        (pl.Date, "DATE"),
        (pl.Time, "TIME"),
        (pl.Binary, "BYTES"),
        (pl.Datetime, "TIMESTAMP"),
        (pl.Datetime("us"), "TIMESTAMP"),
        (pl.Datetime("ms"), "TIMESTAMP"),
        (pl.Decimal(18, 6), "NUMERIC"),
        (pl.Decimal(38, 9), "NUMERIC"),
        (pl.Decimal(38, 8), "BIGNUMERIC"),
        (pl.Decimal(30, 0), "BIGNUMERIC"),
        (pl.Decimal(12, 10), "BIGNUMERIC"),
    ],
    ids=str,
)
def test_each_type_has_its_column(dtype: PolarsType, kind: str) -> None:
    column = raw_schema(source_of(value=dtype))[3]
    assert (column.name, column.field_type, column.mode) == ("value", kind, "NULLABLE")


@pytest.mark.parametrize(
    "dtype",
    [
        pl.List(pl.String),
        pl.Struct({"a": pl.Int64}),
        pl.Datetime("ns"),
        pl.Datetime("us", "UTC"),
        pl.Duration("us"),
        pl.Int128,
        pl.Categorical,
    ],
    ids=str,
)
def test_a_type_without_a_column_is_refused_with_what_to_do(dtype: PolarsType) -> None:
    with pytest.raises(ValueError, match=r"source events: value is of type .*make it text, a number"):
        raw_schema(source_of(value=dtype))


def test_the_day_comes_first_and_is_the_only_column_that_must_not_be_empty() -> None:
    schema = raw_schema(EVENTS)
    assert [column.name for column in schema] == ["_day", *EVENTS.schema]
    assert (schema[0].field_type, schema[0].mode) == ("DATE", "REQUIRED")
    assert {column.mode for column in schema[1:]} == {"NULLABLE"}


@pytest.mark.parametrize("name", ["order id", "größe", "1st", "a.b", "a-b", "x" * 301])
def test_a_name_that_no_column_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="BigQuery takes no column named"):
        raw_schema(source_of(**{name: pl.String}))
    assert raw_schema(source_of(**{"x" * 300: pl.String}))


def test_two_names_that_differ_in_case_only_are_refused() -> None:
    with pytest.raises(ValueError, match="'value' and 'Value' are the same column"):
        raw_schema(source_of(value=pl.String, Value=pl.String))


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_source_of_the_project_can_be_loaded(source: Source) -> None:
    assert len(raw_schema(source)) == len(source.schema) + 1


# ---------------------------------------------------------------------------------------------------------- rows

SAMPLES: dict[Any, list[Any]] = {
    pl.String: ["", "Zürich — 東京 🎉", '{"a": [1, null], "b": "\\"x\\""}', "  spaced\n", None],
    pl.Int64: [0, -(2**63), 2**63 - 1, 42, None],
    pl.UInt32: [0, 1, 2**32 - 1, 42, None],
    pl.Float64: [0.1, -0.0, 1e308, 1.5, None],
    pl.Float32: [0.5, -0.0, 1e30, 1.5, None],
    pl.Boolean: [True, False, True, False, None],
    pl.Date: [date(2025, 3, 1), date(1970, 1, 1), date(1, 1, 1), date(9999, 12, 31), None],
    pl.Binary: [b"", b"\x00\xff", b"PAR1", b"x", None],
    pl.Time: [clock_time(0), clock_time(23, 59, 59, 999999), clock_time(1, 2, 3, 4), clock_time(12), None],
    pl.Decimal: [Decimal("0.000001"), Decimal("-999999999999.999999"), Decimal(0), Decimal("1.5"), None],
    pl.Datetime: [
        datetime(2025, 3, 1, 23, 59, 59, 999000),
        datetime(1969, 12, 31, 23, 59, 59, 1000),
        datetime(2025, 3, 30, 2, 30),  # there is no such time in Berlin
        datetime(9999, 12, 31),
        None,
    ],
}
OTHER_TYPES: list[PolarsType] = [
    *(pl.UInt32, pl.Float64, pl.Float32, pl.Boolean, pl.Date, pl.Binary, pl.Time),
    *(pl.Datetime("ms"), pl.Decimal(18, 6), pl.Decimal(38, 12)),
]
EVERYTHING = source_of(
    **{f"c_{str(dtype).lower().partition('(')[0]}_{number}": dtype for number, dtype in enumerate(OTHER_TYPES)}
)


def sample(source: Source) -> pl.DataFrame:
    """Five rows of a source with all that is hard to keep."""
    return day_rows(source, {name: SAMPLES[dtype.base_type()] for name, dtype in source.schema.items()})


@pytest.mark.parametrize("source", [*SOURCES, EVERYTHING], ids=lambda source: source.name)
def test_the_rows_of_a_source_arrive_as_they_are_in_the_lake(source: Source, loader: Callable[..., Loader]) -> None:
    rows = sample(source)
    micros = datetime(2025, 3, 1, 1, 2, 3, 123457)
    if source is not EVERYTHING:
        rows = rows.with_columns(pl.lit(micros).alias("_landed_at"))
    api = BigQueryApi()
    loaded = loader(api)(rows, source)
    found = api.rows("raw.events")
    assert found.columns == ["_day", *source.schema]
    assert set(found["_day"]) == {DAY}
    assert found["_landed_at"].dtype == pl.Datetime("us", "UTC")
    back = found.drop("_day").with_columns(
        pl.col(name).dt.replace_time_zone(None) for name, dtype in source.schema.items() if dtype == pl.Datetime
    )
    assert back.rows() == rows.rows()
    assert loaded.rows == 5


def test_the_columns_of_the_file_are_those_of_the_schema_in_their_order_and_types(tmp_path: Path) -> None:
    columns = parquet.ParquetFile(written(tmp_path, sample(EVERYTHING), EVERYTHING)).schema
    told = {columns.column(i).name: columns.column(i) for i in range(len(columns))}
    assert list(told) == [column.name for column in raw_schema(EVERYTHING)]
    assert told["_day"].max_definition_level == 0, "it is required"
    assert {one.max_definition_level for name, one in told.items() if name != "_day"} == {1}
    for name in ("at", "_landed_at", "c_datetime_7"):
        assert "isAdjustedToUTC=true, timeUnit=microseconds" in str(told[name].logical_type)
    assert "timeUnit=microseconds" in str(told["c_time_6"].logical_type), "of nanoseconds BigQuery reads nothing"


def test_a_column_that_the_lakes_file_lacks_is_null(tmp_path: Path) -> None:
    file = written(tmp_path, events("a").drop("kind").with_columns(gone=pl.lit("x")))
    assert pl.read_parquet(file).columns == ["_day", *EVENTS.schema]
    assert pl.read_parquet(file)["kind"].to_list() == [None]


def test_a_number_that_no_integer_of_bigquery_holds_is_no_silent_null(tmp_path: Path) -> None:
    source = source_of(value=pl.UInt64)
    with pytest.raises(pl.exceptions.PolarsError, match="18446744073709551615"):
        written(tmp_path, day_rows(source, {"value": [2**64 - 1]}), source)


# ----------------------------------------------------------------------------------------------------------- ids


def test_the_id_of_a_job_is_the_same_for_the_same_load_only() -> None:
    base = ("p.raw.events", DAY, "v1", "run", 0)
    others = [("p.raw.event", *base[1:]), ("p.raw2.events", *base[1:]), (base[0], OTHER, *base[2:])]
    others += [(*base[:2], "v2", "run", 0), (*base[:3], "run2", 0), (*base[:4], 1)]
    others += [("p.raw.größe", *base[1:]), ("p.raw.gr ße", *base[1:]), (f"p.raw.{'x' * 1024}", *base[1:])]
    made = [job_id_of(*one) for one in (base, *others)]
    assert made[0] == job_id_of(*base)
    assert len(set(made)) == len(made)
    for one in made:
        assert set(one) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
        assert len(one) < 1000
    assert made[0].startswith("load-events-20250301-")


# ---------------------------------------------------------------------------------------------------------- jobs


def test_a_day_is_loaded_by_one_job_into_its_partition(
    loader: Callable[..., Loader], caplog: pytest.LogCaptureFixture
) -> None:
    api = BigQueryApi()
    with caplog.at_level(logging.INFO, "analytics_assets"):
        loaded = loader(api)(events("a", "b"), patience_seconds=90.0)
    assert [str(one) for one in api.requests] == ["POST upload/projects/p/jobs"]
    assert api.requests[0].parameters["uploadType"] == "multipart"
    assert api.requests[0].body == {
        "jobReference": {"jobId": "job-1", "projectId": "p"},
        "configuration": {
            "jobTimeoutMs": "90000",
            "labels": {"asset": "raw_events"},
            "load": {
                "destinationTable": {"projectId": "p", "datasetId": "raw", "tableId": "events$20250301"},
                "sourceFormat": "PARQUET",
                "writeDisposition": "WRITE_TRUNCATE",
                "createDisposition": "CREATE_NEVER",
                "schema": {
                    "fields": [
                        {"name": "_day", "type": "DATE", "mode": "REQUIRED"},
                        {"name": "id", "type": "STRING", "mode": "NULLABLE"},
                        {"name": "at", "type": "TIMESTAMP", "mode": "NULLABLE"},
                        {"name": "kind", "type": "STRING", "mode": "NULLABLE"},
                        {"name": "amount", "type": "NUMERIC", "mode": "NULLABLE"},
                        {"name": "_extra", "type": "STRING", "mode": "NULLABLE"},
                        {"name": "_source_file", "type": "STRING", "mode": "NULLABLE"},
                        {"name": "_source_row", "type": "INTEGER", "mode": "NULLABLE"},
                        {"name": "_landed_at", "type": "TIMESTAMP", "mode": "NULLABLE"},
                    ]
                },
            },
        },
    }
    size = int(api.jobs["job-1"]["statistics"]["load"]["inputFileBytes"])
    assert loaded == Loaded("job-1", 2, 2 * size, 1)
    assert [record.message for record in caplog.records if "load_jobs" in record.name] == [
        f"p.raw.events 2025-03-01: 2 rows, {2 * size} bytes, job job-1, tries: 1"
    ]


def test_a_large_file_goes_up_in_chunks(loader: Callable[..., Loader], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("google.cloud.bigquery.client._MAX_MULTIPART_SIZE", 1000)
    monkeypatch.setattr("google.cloud.bigquery.client._DEFAULT_CHUNKSIZE", 2**18)
    rng = random.Random(1)
    rows = events(*(rng.randbytes(40).hex() for _ in range(10_000)))
    api = BigQueryApi()
    assert loader(api)(rows).rows == 10_000
    assert len(api.asked("PUT")) > 1
    assert ids(api) == sorted(rows["id"].to_list())


def test_a_day_loaded_again_replaces_its_rows_and_no_others(loader: Callable[..., Loader]) -> None:
    api = BigQueryApi()
    load = loader(api)
    load(events("a", "b"), job_id="first")
    load(events("c"), day=OTHER, job_id="other")
    load(events("d"), job_id="second")
    assert {key: rows["id"].to_list() for key, rows in api.tables["raw.events"].partitions.items()} == {
        "20250301": ["d"],
        "20250302": ["c"],
    }


def test_a_column_that_the_spec_lost_is_refused_with_what_to_do(loader: Callable[..., Loader]) -> None:
    api = BigQueryApi()
    load = loader(api)
    load(events("a"), job_id="first")
    narrower = source_of(kind=pl.String)
    with pytest.raises(LoadRefused, match=r"Field amount is missing in new schema.*drop the table"):
        load(day_rows(narrower, {"id": ["b"]}), narrower, OTHER, job_id="second")
    assert ids(api) == ["a"]


def test_the_same_load_asked_for_twice_is_one_job(loader: Callable[..., Loader]) -> None:
    api = BigQueryApi()
    load = loader(api)
    first, second = load(events("a")), load(events("a"))
    assert list(api.jobs) == ["job-1"]
    assert first == second


@pytest.mark.parametrize("fault", ["503", "500", "429", "cut", "cut after", "403 rateLimitExceeded"])
def test_a_load_of_which_nothing_was_heard_is_asked_for_again_under_the_same_id(
    fault: str, loader: Callable[..., Loader]
) -> None:
    """Whether the job was taken or not, there is exactly one."""
    api = BigQueryApi(faults={1: fault})
    loaded = loader(api)(events("a"))
    assert (loaded.job_id, loaded.tries) == ("job-1", 2)
    assert [one.body["jobReference"]["jobId"] for one in api.asked("POST upload")] == ["job-1", "job-1"]
    assert list(api.jobs) == ["job-1"]
    assert ids(api) == ["a"]


def test_a_lost_connection_in_an_upload_by_chunks_is_survived(
    loader: Callable[..., Loader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("google.cloud.bigquery.client._MAX_MULTIPART_SIZE", 1)
    api = BigQueryApi(faults={2: "503", 4: "cut after"})  # 1 begins, 2 sends; 3 begins, 4 sends; 5 and 6 find it taken
    assert loader(api)(events("a")).tries == 3
    assert list(api.jobs) == ["job-1"]


def test_a_job_is_waited_for_and_a_look_at_it_that_fails_uploads_nothing_anew(
    loader: Callable[..., Loader], pauses: list[float]
) -> None:
    api = BigQueryApi(running={1: 6}, faults={3: "503", 5: "cut"})
    loaded = loader(api)(events("a"))
    assert (loaded.rows, loaded.tries) == (1, 1)
    assert len(api.asked("POST upload")) == 1
    assert len(api.asked("GET projects/p/jobs/job-1")) == 9
    assert len(pauses) == 8, "after each look but the last"


def test_a_job_that_is_not_found_at_first_is_looked_for_again(loader: Callable[..., Loader]) -> None:
    api = BigQueryApi(faults={1: "cut after"}, missing_looks={1: 2})
    assert loader(api)(events("a")).rows == 1
    assert list(api.jobs) == ["job-1"]


@pytest.mark.parametrize("reason", ["backendError", "jobBackendError", "internalError", "rateLimitExceeded"])
def test_a_job_that_failed_for_now_is_followed_by_another(reason: str, loader: Callable[..., Loader]) -> None:
    api = BigQueryApi(endings={1: reason, 2: reason})
    loaded = loader(api)(events("a"))
    assert (loaded.job_id, loaded.tries) == ("job-3", 3)
    assert list(api.jobs) == ["job-1", "job-2", "job-3"]
    assert ids(api) == ["a"]


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("invalid", "Parquet column 'a' has type BYTE_ARRAY"),
        ("quotaExceeded", "exceeded quota for imports"),
        ("accessDenied", "docs/bigquery.md lists those that are needed"),
        (("quotaExceeded", "Custom quota exceeded: Your usage exceeded the custom quota for a day."), "custom quota"),
        (("billingNotEnabled", "Billing has not been enabled for this project."), "Billing"),
    ],
)
def test_a_job_that_was_refused_is_one_try_and_a_sentence(
    ending: str | tuple[str, str], said: str, loader: Callable[..., Loader]
) -> None:
    api = BigQueryApi(endings={1: ending})
    with pytest.raises(LoadRefused) as refused:
        loader(api)(events("a"))
    reason = ending if isinstance(ending, str) else ending[0]
    text = str(refused.value)
    assert text.startswith("p.raw.events 2025-03-01 keeps the rows that it had: job job-1 failed: ")
    assert said in text
    assert f"({reason})" in text
    assert len(api.requests) == 1
    assert not is_transient(refused.value)
    assert sentence(refused.value) == text, "the advice is given once"


def test_a_quota_of_what_runs_at_once_passes(loader: Callable[..., Loader]) -> None:
    ending = ("quotaExceeded", "Quota exceeded: Your project exceeded quota for concurrent load jobs.")
    assert loader(BigQueryApi(endings={1: ending}))(events("a")).job_id == "job-2"


@pytest.mark.parametrize(
    ("fault", "said"), [("403 accessDenied", "Access Denied.*docs/bigquery.md"), ("400 invalid", "Parquet")]
)
def test_a_request_that_was_refused_is_one_try_and_a_sentence(
    fault: str, said: str, loader: Callable[..., Loader]
) -> None:
    api = BigQueryApi(faults={1: fault})
    with pytest.raises(LoadRefused, match=said) as refused:
        loader(api)(events("a"))
    assert len(api.requests) == 1
    assert "127.0.0.1" not in str(refused.value), "the address says nothing"
    assert not is_transient(refused.value)


def test_a_refusal_after_a_lost_connection_is_one_still(loader: Callable[..., Loader]) -> None:
    api = BigQueryApi(faults={1: "cut", 2: "403 accessDenied"})
    with pytest.raises(LoadRefused) as refused:
        loader(api)(events("a"))
    assert not is_transient(refused.value)


def test_a_dataset_that_is_not_there_is_said_with_what_to_do(loader: Callable[..., Loader]) -> None:
    with pytest.raises(LoadRefused, match=r"Dataset p:raw was not found.*ANALYTICS_BIGQUERY__LOCATION"):
        loader(BigQueryApi(datasets=set()))(events("a"))


def test_a_client_of_another_location_is_refused_and_one_of_the_right_finds_its_jobs(
    loader: Callable[..., Loader],
) -> None:
    api = BigQueryApi(location="europe-west3", faults={1: "cut after"}, running={1: 2})
    assert loader(api, "europe-west3")(events("a")).rows == 1
    with pytest.raises(LoadRefused, match=r"not found in location US.*cannot be moved"):
        loader(BigQueryApi(location="europe-west3"), "US")(events("a"))


def test_patience_ends_and_what_may_still_run_is_cancelled(loader: Callable[..., Loader]) -> None:
    api = BigQueryApi(faults={1: "cut after"}, running={1: 1000})
    with pytest.raises(LoadUnavailable, match=r"p.raw.events 2025-03-01: .*given up after 1 try") as given_up:
        loader(api)(events("a"), patience_seconds=0.0)
    assert is_transient(given_up.value)
    assert api.jobs["job-1"]["status"]["errorResult"]["reason"] == "stopped"
    assert api.jobs["job-1"]["configuration"]["jobTimeoutMs"] == "60000"
    assert not api.tables["raw.events"].partitions


def test_a_server_that_is_not_there_may_be_there_later(tmp_path: Path, pauses: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    client = bigquery.Client("p", AnonymousCredentials(), client_options={"api_endpoint": url})
    file = written(tmp_path, events("a"))
    with pytest.raises(LoadUnavailable, match=r"ConnectionError.*given up after \d+ tries"):
        load_day(
            client,
            file,
            TABLE,
            DAY,
            raw_schema(EVENTS),
            expected_rows=1,
            job_id="job",
            labels={},
            patience_seconds=5.0,
        )
    assert len(set(pauses)) == len(pauses), "those who failed together do not come again together"


def test_patience_ends_while_jobs_fail(loader: Callable[..., Loader]) -> None:
    api = BigQueryApi(endings=dict.fromkeys(range(1, 1000), "backendError"))
    with pytest.raises(LoadUnavailable, match=r"Retrying may solve the problem.*given up after \d+ tr"):
        loader(api)(events("a"), patience_seconds=5.0)
    assert len(api.jobs) > 1


def test_a_job_that_runs_for_too_long_is_cancelled(loader: Callable[..., Loader]) -> None:
    api = BigQueryApi(running={1: 10**9})
    began = time.monotonic()
    with pytest.raises(LoadUnavailable, match="job-1 is still RUNNING after"):
        loader(api)(events("a"), patience_seconds=0.8)
    assert time.monotonic() - began < 5
    assert api.jobs["job-1"]["status"]["state"] == "DONE"
    assert not api.tables["raw.events"].partitions, "it must not replace what is loaded after it"


def test_a_job_that_somebody_cancelled_is_not_started_again_at_once(loader: Callable[..., Loader]) -> None:
    api = BigQueryApi(endings={1: "stopped"})
    with pytest.raises(LoadUnavailable, match="User requested cancellation"):
        loader(api)(events("a"))
    assert list(api.jobs) == ["job-1"]


@pytest.mark.parametrize(("reason", "follows"), [("backendError", True), ("invalid", False)])
def test_a_job_that_is_there_already_and_failed_counts_as_what_it_failed_with(
    reason: str, follows: bool, loader: Callable[..., Loader]
) -> None:
    """The process was killed after it had asked, say, and asks again."""
    api = BigQueryApi(endings={1: reason})
    load = loader(api)
    with pytest.raises((LoadUnavailable, LoadRefused)):
        load(events("a"), patience_seconds=0.0)
    if follows:
        assert load(events("a")).job_id == "job-2"
    else:
        with pytest.raises(LoadRefused, match="job-1 failed"):
            load(events("a"))
    assert list(api.jobs) == (["job-1", "job-2"] if follows else ["job-1"])


def test_a_file_of_other_rows_than_expected_is_not_loaded(loader: Callable[..., Loader]) -> None:
    api = BigQueryApi()
    with pytest.raises(LoadRefused, match=r"holds 2 rows instead of 3"):
        loader(api)(events("a", "b"), expected_rows=3)
    with pytest.raises(LoadRefused, match=r"holds 0 rows instead of 3"):
        loader(api)(events(), expected_rows=3)
    assert not api.requests


def test_a_job_that_loaded_other_rows_than_the_file_holds_is_an_error(loader: Callable[..., Loader]) -> None:
    with pytest.raises(LoadRefused, match=r"job job-1 loaded 1 row instead of 2"):
        loader(BigQueryApi(miscounted={1: 1}))(events("a", "b"))


def test_a_file_of_another_day_is_refused(loader: Callable[..., Loader], tmp_path: Path) -> None:
    api = BigQueryApi()
    with pytest.raises(LoadRefused, match="different partitions than 20250301"):
        loader(api)(events("a"), file=written(tmp_path, events("a"), day=OTHER))


# -------------------------------------------------------------------------------------------------- days without rows


def test_a_day_that_became_empty_ends_up_empty_and_others_stay(loader: Callable[..., Loader]) -> None:
    api = BigQueryApi()
    load = loader(api)
    load(events("a"), job_id="first")
    load(events("b"), day=OTHER, job_id="other")
    assert load(events(), job_id="empty") == Loaded(None, 0, 0, 1)
    assert ids(api) == ["b"]
    assert load(events(), job_id="again").rows == 0, "that it is empty already is no error"


def test_an_empty_day_is_tried_again_as_any_other(loader: Callable[..., Loader]) -> None:
    api = BigQueryApi(faults={1: "503", 2: "cut", 3: "429", 4: "cut after"})
    load = loader(api)
    api.tables["raw.events"] = held(EVENTS)
    api.tables["raw.events"].partitions["20250301"] = events("a")
    assert load(events()).tries == 5
    assert not api.tables["raw.events"].partitions
    with pytest.raises(LoadRefused, match="Access Denied"):
        loader(BigQueryApi(faults={1: "403 accessDenied"}))(events())
    with pytest.raises(LoadUnavailable, match="given up"):
        loader(BigQueryApi(faults={1: "503"}))(events(), patience_seconds=0.0)


# ------------------------------------------------------------------------------------------- tables and their columns


def test_a_table_that_is_not_there_is_made_with_partitions() -> None:
    api = BigQueryApi()
    with asking(api) as client:
        assert make_table(client, TABLE, raw_schema(EVENTS), None) is True
        assert api.tables["raw.events"].resource == held(EVENTS).resource | {"labels": {}}
        asked = len(api.requests)
        assert make_table(client, TABLE, raw_schema(EVENTS), None) is False
    assert [str(one) for one in api.requests[asked:]] == ["GET projects/p/datasets/raw/tables/events"]


def test_a_column_that_the_spec_gained_is_added_and_older_days_stay(loader: Callable[..., Loader]) -> None:
    api = BigQueryApi()
    load = loader(api)
    wider = source_of(kind=pl.String, amount=pl.Decimal(18, 6), color=pl.String)
    load(events("a"), job_id="first")
    with asking(api) as client:
        assert make_table(client, TABLE, raw_schema(wider), None) is False
    load(day_rows(wider, {"id": ["b"], "color": ["red"]}), wider, OTHER, job_id="second")
    assert api.rows("raw.events").select("id", "color").rows() == [("a", None), ("b", "red")]


def test_days_expire_at_the_age_that_is_asked_for_and_where_none_is_the_table_is_left_as_it_is() -> None:
    new, there = BigQueryApi(), BigQueryApi(tables={"raw.events": held(EVENTS)})
    for api in (new, there):
        with asking(api) as client:
            for days, expected in ((1.5, "129600000"), (2.0, "172800000"), (None, "172800000")):
                make_table(client, TABLE, raw_schema(EVENTS), days)
                assert api.tables["raw.events"].resource["timePartitioning"] == {
                    "type": "DAY",
                    "field": "_day",
                    "expirationMs": expected,
                }


def test_a_table_that_another_run_made_meanwhile_is_no_error() -> None:
    """The answer that it is not there comes first."""
    api = BigQueryApi(faults={1: "404 notFound"}, tables={"raw.events": held(EVENTS)})
    with asking(api) as client:
        make_table(client, TABLE, raw_schema(EVENTS), None)
    assert [one.method for one in api.requests] == ["GET", "POST", "GET"]


# ------------------------------------------------------------------------------------------------------- stand-in


def test_the_stand_in_counts_queries_and_refuses_those_that_cost_too_much() -> None:
    """Others test with it what this module does not ask."""
    api = BigQueryApi(bytes_processed=len, answers=lambda sql: pl.DataFrame({"n": [1, None], "s": ["", None]}))
    with served(api) as url:
        client = bigquery.Client("p", AnonymousCredentials(), client_options={"api_endpoint": url}, location="EU")
        dry = client.query("select 1", job_config=bigquery.QueryJobConfig(dry_run=True))
        assert (dry.total_bytes_processed, api.jobs) == (8, {})
        assert [tuple(row) for row in client.query("select 1").result()] == [(1, ""), (None, None)]
        assert [tuple(row) for row in client.query_and_wait("select 1")] == [(1, ""), (None, None)]
        config = bigquery.QueryJobConfig(maximum_bytes_billed=7)
        with pytest.raises(exceptions.GoogleAPICallError, match="8 or higher required") as refused:
            client.query("select 1", job_config=config, job_retry=None).result(retry=None)
        assert not is_transient(refused.value)
        assert "MAXIMUM_BYTES_BILLED" in sentence(refused.value)
        client.create_dataset("p.marts")
        with pytest.raises(exceptions.Conflict):
            client.create_dataset("p.marts")
        assert client.get_dataset("p.marts").location == "EU"
        assert list(client.list_tables("p.marts")) == []


# ------------------------------------------------------------------------------------------------------- failures


def _google(status: int, message: str, reason: str = "") -> exceptions.GoogleAPICallError:
    return exceptions.from_http_status(
        status, message, errors=[{"reason": reason, "message": message}] if reason else ()
    )


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (_google(503, "The service is currently unavailable."), True),
        (_google(500, "POST https://x: Internal error"), True),
        (_google(429, "Too many"), True),
        (_google(403, "Exceeded rate limits: too many api requests", "rateLimitExceeded"), True),
        (_google(400, "The job encountered an error", "jobBackendError"), True),
        (_google(400, "x", "tableUnavailable"), True),
        (_google(403, "Quota exceeded: Your project exceeded quota for concurrent queries.", "quotaExceeded"), True),
        (exceptions.RetryError("Timeout of 600.0s exceeded", cause=_google(503, "x")), False),  # by itself; see below
        (requests.exceptions.ConnectionError("('Connection broken', x)"), True),
        (requests.exceptions.ReadTimeout("Read"), True),
        (TransportError("x"), True),
        (RefreshError("the server is busy", retryable=True), True),
        (_google(500, "Query exceeded limit for bytes billed: 1.", "bytesBilledLimitExceeded"), False),
        (_google(403, "Access Denied: Project p", "accessDenied"), False),
        (_google(403, "Quota exceeded: Your table exceeded quota for imports", "quotaExceeded"), False),
        (_google(403, "Custom quota exceeded: Your usage exceeded the custom quota", "quotaExceeded"), False),
        (_google(404, "Not found: Dataset p:d", "notFound"), False),
        (_google(501, "x"), False),
        (requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"), False),
        (RefreshError("invalid_grant: Bad Request"), False),
        (DefaultCredentialsError("Your default credentials were not found."), False),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_which_errors_of_google_may_pass(error: Exception, transient: bool) -> None:
    assert is_transient(error) is transient
    try:
        raise RuntimeError("while working") from error
    except RuntimeError as wrapped:
        assert is_transient(wrapped) is transient


def test_what_googles_client_gave_up_on_may_pass_if_its_cause_may() -> None:
    def give_up(cause: Exception) -> Exception:
        try:
            raise exceptions.RetryError("Timeout of 600.0s exceeded", cause=cause) from cause
        except exceptions.RetryError as error:
            return error

    assert is_transient(give_up(_google(503, "x")))
    assert not is_transient(give_up(_google(403, "Access Denied: x", "accessDenied")))


@pytest.mark.parametrize(
    ("text", "transient"),
    [
        ("Exceeded rate limits: too many table update operations for this table", True),
        ("Quota exceeded: Your project_and_region exceeded quota for concurrent queries.", True),
        ("Quota exceeded: Your table exceeded quota for DML jobs writing to table, pending + running.", True),
        ("Quota exceeded for quota metric 'Requests' and limit 'Requests per minute' of service 'bigquery'", True),
        ("Error encountered during execution. Retrying may solve the problem.", True),
        ("The job encountered an error during execution. Retrying the job may solve the problem.", True),
        ("Retrying the job with back-off as described in the BigQuery SLA should solve the problem: x", True),
        ("503 POST https://bigquery.googleapis.com/x: The service is currently unavailable.", True),
        ("502 Bad Gateway", True),
        ("reason: backendError, location: query", True),
        ("Could not serialize access to table p:d.t due to concurrent update", True),
        ("Transaction is aborted due to concurrent update against table p:d.t.", True),
        ("OSError: Disk quota exceeded (os error 122)", True),
        ("IO Error: Could not write file: Quota exceeded", True),
        ("QuotaExceeded", True),
        ("Quota exceeded: Your project exceeded quota for free query bytes scanned.", False),
        ("Custom quota exceeded: Your usage exceeded the custom quota for QueryUsagePerDay.", False),
        ("Custom quota exceeded", False),
        ("403 quotaExceeded", False),
        ("Query exceeded limit for bytes billed: 1000. 10485760 or higher required.", False),
        ("Access Denied: Table p:d.t: User does not have permission to query table", False),
        ("Invalid value: 503 is not in range", False),
        ("Got 1 result, configured to fail if != 0", False),
    ],
    ids=lambda value: str(value)[:50],
)
def test_which_messages_of_dbt_on_bigquery_may_pass(text: str, transient: bool) -> None:
    assert is_transient(text) is transient
    assert is_transient(RuntimeError(text)) is transient


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("Access Denied: Project p: User does not have bigquery.jobs.create permission", "docs/bigquery.md"),
        ("Permission bigquery.tables.updateData denied on table p:d.t", "docs/bigquery.md"),
        ("404 Not found: Dataset p:raw was not found in location EU", "ANALYTICS_BIGQUERY__LOCATION"),
        ("Cannot read and write in different locations: source: EU, destination: US", "ANALYTICS_BIGQUERY__LOCATION"),
        ("Query exceeded limit for bytes billed: 1", "ANALYTICS_BIGQUERY__MAXIMUM_BYTES_BILLED, or make fewer days"),
        ("Your default credentials were not found. See https://x", "`gcloud auth application-default login`"),
    ],
)
def test_what_bigquery_refuses_is_said_with_what_to_do(text: str, advice: str) -> None:
    said = sentence(text)
    assert said.startswith(text.rstrip("."))
    assert advice in said
    assert sentence(said) == said


def test_a_file_that_may_not_be_read_has_nothing_to_do_with_bigquery() -> None:
    said = sentence(PermissionError(13, "Permission denied", "/data/lake"))
    assert "bigquery" not in said
