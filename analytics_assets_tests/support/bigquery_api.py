"""A stand-in for BigQuery's REST API on loopback: load jobs really read their Parquet, and faults come as they are set.

Written after Google's reference (cloud.google.com/bigquery/docs/reference/rest), not after the code that it tests.
Where BigQuery is strict it is strict, too: a load must fit the table's columns and the partition that it names, a job's
id is taken for ever, a job outside of US and EU is found only with its location. It keeps what it was asked.
"""

import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import polars as pl
import pyarrow as pa
import uvicorn
from pyarrow import parquet
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Resource = dict[str, Any]

FAULTS: Mapping[str, str] = {
    "408 … 599": "answers with that status, without doing anything",
    "<status> <reason>": "likewise, with a reason, as in `403 rateLimitExceeded`",
    "cut": "breaks the connection without doing anything",
    "cut after": "does what it is asked, and breaks the connection then",
}
"""What can be made to go wrong with a request."""

MESSAGES: Mapping[str, str] = {
    "backendError": "Error encountered during execution. Retrying may solve the problem.",
    "jobBackendError": "The job encountered an error during execution. Retrying the job may solve the problem.",
    "internalError": "An internal error occurred and the request could not be completed.",
    "rateLimitExceeded": "Exceeded rate limits: too many table update operations for this table.",
    "quotaExceeded": "Quota exceeded: Your table exceeded quota for imports or query appends per table.",
    "invalid": "Error while reading data, error message: Parquet column 'a' has type BYTE_ARRAY.",
    "accessDenied": "Access Denied: Table p:raw.events: User does not have bigquery.tables.updateData permission.",
    "stopped": "Job execution was cancelled: User requested cancellation",
}
"""What BigQuery says with a reason."""


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message

    def response(self) -> Response:
        first = {"domain": "global", "reason": self.reason, "message": self.message}
        return JSONResponse(
            {"error": {"code": self.status, "message": self.message, "errors": [first]}}, status_code=self.status
        )


class JobError(Exception):
    """What a job ends with."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.result = {"reason": reason, "message": message}


@dataclass(frozen=True)
class Asked:
    """One request: its method, its path below `/bigquery/v2/`, its parameters, its JSON."""

    method: str
    path: str
    parameters: Mapping[str, str]
    body: Resource

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class HeldTable:
    """A table: its resource, and the rows of each partition."""

    resource: Resource
    partitions: dict[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, Resource]:
        return {column["name"].lower(): column for column in self.resource["schema"]["fields"]}


@dataclass
class BigQueryApi:
    """The API, what it holds and what it saw.

    Attributes:
        project: the only one.
        location: of all datasets.
        datasets: that there are.
        faults: what goes wrong with which request, counted from 1.
        endings: the reason, or reason and message, with which a job ends, counted from 1 in the order of their start;
            or with which all loads into a partition end, by its name, as `raw_events$20250301`.
        running: how often a job is looked at before it is done, likewise.
        miscounted: how many rows a job says that it loaded, likewise.
        missing_looks: how often a job is not found at first, likewise.
        bytes_processed: of a query.
        answers: the rows of a query.
        requests: all of them, in their order.
        jobs: by id.
        tables: by `dataset.table`.
    """

    project: str = "p"
    location: str = "EU"
    datasets: set[str] = field(default_factory=lambda: {"raw"})
    faults: Mapping[int, str] = field(default_factory=dict)
    endings: Mapping[int | str, str | tuple[str, str]] = field(default_factory=dict)
    running: Mapping[int, int] = field(default_factory=dict)
    miscounted: Mapping[int, int] = field(default_factory=dict)
    missing_looks: Mapping[int, int] = field(default_factory=dict)
    bytes_processed: Callable[[str], int] = lambda sql: 0
    answers: Callable[[str], pl.DataFrame] = lambda sql: pl.DataFrame()
    requests: list[Asked] = field(default_factory=list)
    jobs: dict[str, Resource] = field(default_factory=dict)
    tables: dict[str, HeldTable] = field(default_factory=dict)
    _contents: dict[str, bytes] = field(default_factory=dict)
    _looks: dict[str, int] = field(default_factory=dict)
    _uploads: dict[str, tuple[Resource, bytearray]] = field(default_factory=dict)

    def app(self) -> Starlette:
        """The ASGI application."""
        of_project = "/bigquery/v2/projects/{project}"
        of_dataset = of_project + "/datasets/{dataset}"
        of_table = of_dataset + "/tables/{table}"
        routes = [
            ("/upload" + of_project + "/jobs", "POST", self._upload),
            ("/upload" + of_project + "/jobs", "PUT", self._chunk),
            (of_project + "/jobs", "POST", self._insert_job),
            (of_project + "/jobs/{job}", "GET", self._get_job),
            (of_project + "/jobs/{job}/cancel", "POST", self._cancel_job),
            (of_project + "/queries", "POST", self._query),
            (of_project + "/queries/{job}", "GET", self._query_results),
            (of_project + "/datasets", "GET", self._list_datasets),
            (of_project + "/datasets", "POST", self._insert_dataset),
            (of_dataset, "GET", self._get_dataset),
            (of_dataset + "/routines", "GET", self._list_routines),
            (of_dataset + "/tables", "GET", self._list_tables),
            (of_dataset + "/tables", "POST", self._insert_table),
            (of_table, "GET", self._get_table),
            (of_table, "PATCH", self._patch_table),
            (of_table, "DELETE", self._delete_table),
        ]
        return Starlette(routes=[Route(path, self._answering(do), methods=[method]) for path, method, do in routes])

    def rows(self, table: str) -> pl.DataFrame:
        """All rows of `dataset.table`, the oldest partition first."""
        partitions = self.tables[table].partitions
        return pl.concat([partitions[key] for key in sorted(partitions)], how="diagonal") if partitions else _NOTHING

    def asked(self, begins_with: str) -> list[Asked]:
        """The requests whose method and path begin like this."""
        return [one for one in self.requests if str(one).startswith(begins_with)]

    def _answering(self, do: Callable[[Request, bytes], Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            content = await request.body()
            upload, _, path = request.url.path.partition("/bigquery/v2/")
            path = f"{upload.strip('/')}/{path}" if upload else path
            self.requests.append(Asked(request.method, path, dict(request.query_params), _json_of(request, content)))
            fault = self.faults.get(len(self.requests), "")
            status, _, reason = fault.partition(" ")
            if status.isdecimal():
                said = MESSAGES.get(reason, "The service is currently unavailable.")
                return ApiError(int(status), reason, said).response() if reason else Response(said, int(status))
            if fault == "cut":
                return _CUT
            try:
                response = do(request, content)
            except ApiError as error:
                response = error.response()
            return _CUT if fault == "cut after" else response

        return endpoint

    # ------------------------------------------------------------------------------------------------------- jobs

    def _upload(self, request: Request, content: bytes) -> Response:
        if request.query_params.get("uploadType") == "multipart":
            resource, data = _parts(request, content)
            return JSONResponse(self._new_job(resource, data))
        upload = uuid4().hex
        self._uploads[upload] = (json.loads(content), bytearray())
        return Response(headers={"Location": f"{request.url}&upload_id={upload}"})

    def _chunk(self, request: Request, content: bytes) -> Response:
        resource, held = self._uploads[request.query_params["upload_id"]]
        span, _, total = request.headers["content-range"].removeprefix("bytes ").partition("/")
        if span != "*":
            assert int(span.partition("-")[0]) == len(held), "chunks come one after the other"
        held += content
        if total == "*" or len(held) < int(total):
            return Response(status_code=308, headers={"Range": f"bytes=0-{len(held) - 1}"})
        return JSONResponse(self._new_job(resource, bytes(held)))

    def _insert_job(self, request: Request, content: bytes) -> Response:
        resource = json.loads(content)
        if resource["configuration"].get("dryRun"):
            return JSONResponse(self._dry_run(resource))
        return JSONResponse(self._new_job(resource, b""))

    def _new_job(self, resource: Resource, content: bytes) -> Resource:
        reference = resource.setdefault("jobReference", {})
        job_id = reference.setdefault("jobId", uuid4().hex)
        location = reference.get("location") or self.location
        if job_id in self.jobs:
            raise ApiError(409, "duplicate", f"Already Exists: Job {self.project}:{self.location}.{job_id}")
        reference |= {"projectId": self.project, "location": location}
        now = str(int(time.time() * 1000))
        number = len(self.jobs) + 1
        self.jobs[job_id] = {
            "kind": "bigquery#job",
            "id": f"{self.project}:{location}.{job_id}",
            "jobReference": reference,
            "configuration": resource["configuration"],
            "status": {"state": "RUNNING"},
            "statistics": {"creationTime": now, "startTime": now},
        }
        self._contents[job_id] = content
        if not self.running.get(number, 0):
            self._end(job_id)
        return self.jobs[job_id]

    def _number(self, job_id: str) -> int:
        return list(self.jobs).index(job_id) + 1

    def _end(self, job_id: str) -> None:
        """Does what a job is for, and ends it."""
        job, number = self.jobs[job_id], self._number(job_id)
        status, statistics = job["status"], job["statistics"]
        status["state"] = "DONE"
        try:
            target = job["configuration"].get("load", {}).get("destinationTable", {}).get("tableId", "")
            if ending := self.endings.get(number) or self.endings.get(target):
                raise JobError(*((ending, MESSAGES[ending]) if isinstance(ending, str) else ending))
            if "load" in job["configuration"]:
                rows = self._load(job, self._contents[job_id])
                size = len(self._contents[job_id])
                statistics["load"] = {
                    "inputFiles": "1",
                    "inputFileBytes": str(size),
                    "outputRows": str(self.miscounted.get(number, rows)),
                    "outputBytes": str(size * 2),
                }
                statistics["totalSlotMs"] = "1500"
            else:
                self._run_query(job)
        except JobError as error:
            status |= {"errorResult": error.result, "errors": [error.result]}
        statistics["endTime"] = str(int(time.time() * 1000))

    def _get_job(self, request: Request, content: bytes) -> Response:
        job_id = request.path_params["job"]
        job = self.jobs.get(job_id)
        location = request.query_params.get("location") or ("EU" if self.location == "EU" else "US")
        if job is None or job["jobReference"]["location"] != location:
            raise ApiError(404, "notFound", f"Not found: Job {self.project}:{job_id}")
        number = self._number(job_id)
        self._looks[job_id] = looks = self._looks.get(job_id, 0) + 1
        if looks <= self.missing_looks.get(number, 0):
            raise ApiError(404, "notFound", f"Not found: Job {self.project}:{job_id}")
        if job["status"]["state"] != "DONE" and looks > self.running.get(number, 0):
            self._end(job_id)
        return JSONResponse(job)

    def _cancel_job(self, request: Request, content: bytes) -> Response:
        job = self.jobs.get(request.path_params["job"])
        if job is None:
            raise ApiError(404, "notFound", f"Not found: Job {self.project}:{request.path_params['job']}")
        if job["status"]["state"] != "DONE":
            stopped = {"reason": "stopped", "message": MESSAGES["stopped"]}
            job["status"] = {"state": "DONE", "errorResult": stopped, "errors": [stopped]}
        return JSONResponse({"kind": "bigquery#jobCancelResponse", "job": job})

    # ------------------------------------------------------------------------------------------------------ loads

    def _load(self, job: Resource, content: bytes) -> int:
        config = job["configuration"]["load"]
        target, location = config["destinationTable"], job["jobReference"]["location"]
        dataset = target["datasetId"]
        if dataset not in self.datasets or location != self.location:
            raise JobError(
                "notFound", f"Not found: Dataset {self.project}:{dataset} was not found in location {location}"
            )
        if config["sourceFormat"] != "PARQUET":
            raise JobError("invalid", f"{config['sourceFormat']} is not stood in for")
        rows = _read(content, config)
        name, _, partition = target["tableId"].partition("$")
        held = self._table_for(f"{dataset}.{name}", config)
        if partition:
            partitioning = held.resource.get("timePartitioning", {})
            if partitioning.get("type") != "DAY":
                raise JobError("invalid", "Cannot read partition information from a table that is not partitioned")
            if set(rows[partitioning["field"]]) - {datetime.strptime(partition, "%Y%m%d").date()}:
                raise JobError("invalid", f"Some rows belong to different partitions than {partition}")
        before = held.partitions.get(partition)
        if config["writeDisposition"] == "WRITE_APPEND" and before is not None:
            rows = pl.concat([before, rows], how="diagonal")
        elif config["writeDisposition"] == "WRITE_TRUNCATE" and not partition:
            held.partitions.clear()
        held.partitions[partition] = rows
        return rows.height

    def _table_for(self, name: str, config: Resource) -> HeldTable:
        """The table that a load writes, whose columns are those of the load's configuration."""
        if config["createDisposition"] != "CREATE_NEVER" or "schemaUpdateOptions" in config:
            raise JobError("invalid", "loads that make or change a table are not stood in for")
        if name not in self.tables:
            raise JobError("notFound", f"Not found: Table {self.project}:{name}")
        held = self.tables[name]
        wanted = {column["name"].lower(): column for column in config["schema"]["fields"]}
        mismatch = f"Provided Schema does not match Table {self.project}:{name}."
        for key, column in held.columns.items():
            if key not in wanted:
                raise JobError("invalid", f"{mismatch} Field {column['name']} is missing in new schema")
            for what in ("type", "mode"):
                if column[what] != wanted[key][what]:
                    raise JobError("invalid", f"{mismatch} Field {column['name']} has changed {what}")
        if new := wanted.keys() - held.columns.keys():
            raise JobError("invalid", f"{mismatch} Cannot add fields (field: {min(new)})")
        return held

    # ---------------------------------------------------------------------------------------------------- queries

    def _dry_run(self, resource: Resource) -> Resource:
        processed = str(self.bytes_processed(resource["configuration"]["query"]["query"]))
        reference = {"projectId": self.project, "location": self.location}
        return {
            "kind": "bigquery#job",
            "jobReference": resource.get("jobReference", {}) | reference,
            "configuration": resource["configuration"],
            "status": {"state": "DONE"},
            "statistics": {"totalBytesProcessed": processed, "query": {"totalBytesProcessed": processed}},
        }

    def _run_query(self, job: Resource) -> None:
        config = job["configuration"]["query"]
        processed, most = self.bytes_processed(config["query"]), config.get("maximumBytesBilled")
        if most is not None and processed > int(most):
            raise JobError(
                "bytesBilledLimitExceeded",
                f"Query exceeded limit for bytes billed: {most}. {processed} or higher required.",
            )
        told = {"totalBytesProcessed": str(processed), "totalBytesBilled": str(processed), "statementType": "SELECT"}
        job["statistics"] |= {"totalBytesProcessed": str(processed), "query": told}

    def _query(self, request: Request, content: bytes) -> Response:
        body = json.loads(content)
        config = {key: body[key] for key in ("query", "useLegacySql", "maximumBytesBilled") if key in body}
        resource = {
            "jobReference": {"location": body["location"]} if "location" in body else {},
            "configuration": {"query": config, "labels": body.get("labels", {})},
        }
        if body.get("dryRun"):
            told = self._dry_run(resource)
            return JSONResponse(
                {"jobReference": told["jobReference"], "jobComplete": True, "totalRows": "0"}
                | {"totalBytesProcessed": told["statistics"]["totalBytesProcessed"]}
            )
        return JSONResponse(self._results(self._new_job(resource, b"")))

    def _query_results(self, request: Request, content: bytes) -> Response:
        self._get_job(request, content)  # a look, as any other
        return JSONResponse(self._results(self.jobs[request.path_params["job"]]))

    def _results(self, job: Resource) -> Resource:
        """What a query found; a job that failed is an error here."""
        reference = {"kind": "bigquery#queryResponse", "jobReference": job["jobReference"]}
        if job["status"]["state"] != "DONE":
            return reference | {"jobComplete": False}
        if failed := job["status"].get("errorResult"):
            raise ApiError(400, failed["reason"], failed["message"])
        found = self.answers(job["configuration"]["query"]["query"])
        return reference | {
            "jobComplete": True,
            "schema": {
                "fields": [
                    {"name": n, "type": _SAID[t.base_type()], "mode": "NULLABLE"} for n, t in found.schema.items()
                ]
            },
            "rows": [{"f": [{"v": None if v is None else str(v)} for v in row]} for row in found.iter_rows()],
            "totalRows": str(found.height),
            "totalBytesProcessed": job["statistics"]["totalBytesProcessed"],
        }

    # --------------------------------------------------------------------------------------- datasets and tables

    def _reference(self, name: str) -> Resource:
        dataset, _, table = name.partition(".")
        return {"projectId": self.project, "datasetId": dataset, "tableId": table}

    def _dataset(self, request: Request) -> str:
        dataset = request.path_params["dataset"]
        if dataset not in self.datasets:
            raise ApiError(404, "notFound", f"Not found: Dataset {self.project}:{dataset}")
        return dataset

    def _table(self, request: Request) -> str:
        name = f"{self._dataset(request)}.{unquote(request.path_params['table'])}"
        if name.partition("$")[0] not in self.tables:
            raise ApiError(404, "notFound", f"Not found: Table {self.project}:{name}")
        return name

    def _dataset_resource(self, dataset: str) -> Resource:
        reference = {"projectId": self.project, "datasetId": dataset}
        return {"datasetReference": reference, "id": f"{self.project}:{dataset}", "location": self.location}

    def _insert_dataset(self, request: Request, content: bytes) -> Response:
        dataset = json.loads(content)["datasetReference"]["datasetId"]
        if dataset in self.datasets:
            raise ApiError(409, "duplicate", f"Already Exists: Dataset {self.project}:{dataset}")
        self.datasets.add(dataset)
        return JSONResponse(self._dataset_resource(dataset))

    def _get_dataset(self, request: Request, content: bytes) -> Response:
        return JSONResponse(self._dataset_resource(self._dataset(request)))

    def _list_datasets(self, request: Request, content: bytes) -> Response:
        return JSONResponse({"datasets": [self._dataset_resource(dataset) for dataset in sorted(self.datasets)]})

    def _list_routines(self, request: Request, content: bytes) -> Response:
        self._dataset(request)
        return JSONResponse({"routines": []})

    def _list_tables(self, request: Request, content: bytes) -> Response:
        dataset = self._dataset(request)
        found = [held.resource for name, held in self.tables.items() if name.startswith(f"{dataset}.")]
        return JSONResponse({"tables": found, "totalItems": len(found)})

    def _insert_table(self, request: Request, content: bytes) -> Response:
        resource = json.loads(content)
        name = f"{self._dataset(request)}.{resource['tableReference']['tableId']}"
        if name in self.tables:
            raise ApiError(409, "duplicate", f"Already Exists: Table {self.project}:{name}")
        self.tables[name] = HeldTable({**resource, "tableReference": self._reference(name)})
        return JSONResponse(self.tables[name].resource)

    def _get_table(self, request: Request, content: bytes) -> Response:
        return JSONResponse(self.tables[self._table(request)].resource)

    def _patch_table(self, request: Request, content: bytes) -> Response:
        held = self.tables[self._table(request)]
        held.resource |= json.loads(content)
        return JSONResponse(held.resource)

    def _delete_table(self, request: Request, content: bytes) -> Response:
        name, _, partition = self._table(request).partition("$")
        if not partition:
            del self.tables[name]
        elif self.tables[name].partitions.pop(partition, None) is None:
            raise ApiError(404, "notFound", f"Not found: Partition {self.project}:{name}${partition}")
        return Response(status_code=204)


_NOTHING = pl.DataFrame()

_CUT = Response(headers={"Content-Length": "1000"})
"""An answer that ends before it is whole."""

_SAID = {pl.String: "STRING", pl.Int64: "INTEGER", pl.Float64: "FLOAT", pl.Boolean: "BOOLEAN", pl.Date: "DATE"}

_READS: Mapping[str, Callable[[pa.DataType], bool]] = {
    "STRING": lambda t: pa.types.is_string(t) or pa.types.is_large_string(t),
    "INTEGER": pa.types.is_integer,
    "FLOAT": pa.types.is_floating,
    "BOOLEAN": pa.types.is_boolean,
    "DATE": pa.types.is_date32,
    "BYTES": lambda t: pa.types.is_binary(t) or pa.types.is_large_binary(t),
    "TIME": lambda t: pa.types.is_time(t) and t.unit in ("ms", "us"),
    "TIMESTAMP": lambda t: pa.types.is_timestamp(t) and t.tz is not None,
    "DATETIME": lambda t: pa.types.is_timestamp(t) and t.tz is None,
    "NUMERIC": lambda t: pa.types.is_decimal(t) and t.scale <= 9 and t.precision - t.scale <= 29,
    "BIGNUMERIC": pa.types.is_decimal,
}
"""The Parquet types, as Arrow shows them, of which a load makes a column
(cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet, "Type conversions")."""


def _read(content: bytes, config: Resource) -> pl.DataFrame:
    """The rows of a file, if they fit the schema of the load."""
    held = parquet.read_schema(io.BytesIO(content))
    wanted = {column["name"]: column for column in config["schema"]["fields"]}
    if unknown := sorted(set(held.names) - set(wanted)):
        raise JobError("invalid", f"No such field: {unknown[0]}")
    rows = pl.read_parquet(content)
    for name, column in wanted.items():
        if name not in held.names:
            if column["mode"] == "REQUIRED":
                raise JobError("invalid", f"Required field {name} is missing")
            continue
        if not _READS[column["type"]](held.field(name).type):
            raise JobError("invalid", f"Field {name} is {column['type']}, but the file has {held.field(name).type}")
        if column["type"] == "BIGNUMERIC" and "BIGNUMERIC" not in config.get("decimalTargetTypes", ()):
            raise JobError("invalid", f"Field {name}: decimals are NUMERIC unless decimalTargetTypes says more")
        if column["mode"] == "REQUIRED" and rows[name].null_count():
            raise JobError("invalid", f"Required field {name} cannot be null")
    return rows


def _json_of(request: Request, content: bytes) -> Resource:
    """The JSON that a request carries, as its whole body or as the first part of it."""
    kind = request.headers.get("content-type", "")
    if kind.startswith("multipart/related"):
        return _parts(request, content)[0]
    return json.loads(content) if content and kind.startswith("application/json") else {}


def _parts(request: Request, content: bytes) -> tuple[Resource, bytes]:
    """Metadata and data of a multipart upload."""
    boundary = request.headers["content-type"].partition("boundary=")[2].strip('"').encode()
    _, first, second = content.split(b"--" + boundary, 2)
    body = json.loads(first.partition(b"\r\n\r\n")[2])
    data = second.partition(b"\r\n\r\n")[2]
    return body, data[: data.rindex(b"\r\n--" + boundary)]


def served(api: BigQueryApi) -> AbstractContextManager[str]:
    """Serves on loopback until the block ends; gives the address."""
    return listening(api.app())


@contextmanager
def listening(app: Starlette) -> Iterator[str]:
    """An application on loopback, in a thread of its own."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", timeout_graceful_shutdown=1)
    sock = config.bind_socket()
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True).start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True  # it does so within some tenths of a second, for which nobody has to wait
