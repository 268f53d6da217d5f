"""What stands between a project and the emulator: keeps what was asked, and says what statements cost."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from analytics_assets_tests.support.bigquery_api import Asked, JobError, Resource, listening

Costs = Mapping[str, int]
"""Bytes processed, bytes billed and milliseconds of slots."""


@dataclass
class Proxy:
    """A proxy before an emulator.

    Attributes:
        url: of the emulator.
        costs: of a statement; where they are more than may be billed, it is refused as BigQuery does.
        requests: all of them, in their order.
    """

    url: str
    costs: Callable[[str], Costs] = lambda sql: {}
    requests: list[Asked] = field(default_factory=list)
    _refused: dict[str, Resource] = field(default_factory=dict)

    @property
    def queries(self) -> list[Resource]:
        """The settings of each query that was asked for."""
        found = [query for one in self.requests if one.method == "POST" and (query := _query_of(one.body))]
        return found

    def app(self) -> Starlette:
        """The ASGI application."""
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return Starlette(routes=[Route("/{path:path}", self._pass_on, methods=methods)])

    async def _pass_on(self, request: Request) -> Response:
        content = await request.body()
        path = request.url.path.removeprefix("/bigquery/v2/")
        is_json = content and request.headers.get("content-type", "").startswith("application/json")
        body = json.loads(content) if is_json else {}
        self.requests.append(Asked(request.method, path, dict(request.query_params), body))
        if refused := self._refusal(path, body):
            return refused
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.request(
                request.method,
                f"{self.url}{request.url.path}",
                params=request.query_params,
                content=content,
                headers={"content-type": request.headers.get("content-type", "application/json")},
            )
        if answer.content and answer.headers.get("content-type", "").startswith("application/json"):
            return JSONResponse(self._with_costs(answer.json()), answer.status_code)
        uploads = {name: answer.headers[name] for name in ("location", "range") if name in answer.headers}
        return Response(answer.content, answer.status_code, uploads)

    def _refusal(self, path: str, body: Resource) -> Response | None:
        """What BigQuery answers to a query that would be billed for more than it may, and to who looks after it."""
        job_id = path.split("/")[-1]
        query = _query_of(body)
        if job_id not in self._refused and query:
            most, processed = query.get("maximumBytesBilled"), self.costs(query["query"]).get("bytes_processed", 0)
            if most is None or processed <= int(most):
                return None
            said = f"Query exceeded limit for bytes billed: {most}. {processed} or higher required."
            error = JobError("bytesBilledLimitExceeded", said).result
            reference = body.get("jobReference", {"projectId": "a-project", "jobId": "of-a-query", "location": "EU"})
            job_id = reference["jobId"]
            self._refused[job_id] = {
                "jobReference": reference,
                "configuration": body.get("configuration", {}),
                "status": {"state": "DONE", "errorResult": error, "errors": [error]},
                "statistics": {},
            }
        if job_id not in self._refused:
            return None
        job = self._refused[job_id]
        if "/jobs" in path:
            return JSONResponse(job)
        error = job["status"]["errorResult"]
        return JSONResponse({"error": {"code": 400, "message": error["message"], "errors": [error]}}, 400)

    def _with_costs(self, answer: Resource) -> Resource:
        query = answer.get("configuration", {}).get("query", {}).get("query")
        if query and (costs := self.costs(query)):
            statistics = answer.setdefault("statistics", {})
            statistics["totalBytesProcessed"] = str(costs["bytes_processed"])
            statistics["totalSlotMs"] = str(costs["slot_ms"])
            statistics["query"] = statistics.get("query", {}) | {
                "totalBytesProcessed": str(costs["bytes_processed"]),
                "totalBytesBilled": str(costs["bytes_billed"]),
                "totalSlotMs": str(costs["slot_ms"]),
            }
        return answer


def _query_of(body: Resource) -> Resource:
    """The settings of a query, by whichever of the two ways it is asked for; empty where it is none."""
    return body if isinstance(body.get("query"), str) else body.get("configuration", {}).get("query", {})


@contextmanager
def before(url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy before an emulator until the block ends, and its address."""
    proxy = Proxy(url)
    with listening(proxy.app()) as address:
        yield proxy, address
