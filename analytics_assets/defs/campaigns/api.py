"""A stand-in for an advertising API on loopback: simulated campaigns, and the faults of real APIs on request.

`analytics-assets serve-campaigns-api`, the demo and the tests serve it. No asset imports it.
"""

import asyncio
import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Any
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from analytics_assets.defs.campaigns.simulator import CAMPAIGNS_AT_SCALE_1, FEWEST_CAMPAIGNS, versions
from analytics_assets.defs.campaigns.sources import Record
from analytics_assets.partitions import Window

LARGEST_PAGE = 500

FAULTS: Mapping[str, str] = {
    "408 … 599": "answers with that status",
    "cut": "breaks the connection in the middle of the answer",
    "silent": "says nothing for longer than a client waits",
    "slow": "takes a second",
    "garbage": "answers with what is no JSON",
    "encoded": "answers with what is not encoded as its header says",
    "limit-403": "says that it was asked too often by 403 and Retry-After",
    "limit-200": "says that it was asked too often by an error in the body, and the status 200",
    "nothing": "answers with 204, and no body, as if nothing had changed",
    "empty": "answers with a page without records, and names the next one",
    "again": "sends the page before once more, and goes on from there",
    "malformed": "puts records between the others that are none",
    "extra": "adds a field that nobody knows to each record",
    "retyped": "sends numbers as texts with words, and texts as numbers",
    "shift": "answers, and then changes the first record, so that all others move up",
    "late": "answers, and then commits a record with a time long past",
}
"""The faults that a request can be given, and what the API then does."""


def parse_faults(said: Iterable[str]) -> dict[int, str]:
    """`["503@3,7", "cut@5"]` as the fault of each request, counted from 1.

    Raises:
        ValueError: an unknown fault, or no request numbers.
    """
    found = {}
    for one in said:
        name, _, numbers = one.partition("@")
        is_status = name.isdecimal() and 400 <= int(name) <= 599
        if not (is_status or name in FAULTS) or not all(n.isdecimal() and int(n) for n in numbers.split(",")):
            raise ValueError(f"{one!r} is no fault; say one as 503@3,7, with a status or one of {', '.join(FAULTS)}")
        found.update({int(number): name for number in numbers.split(",")})
    return found


@dataclass
class CampaignsApi:
    """The API and a log of its requests.

    Attributes:
        records: all versions of all records.
        key: the expected value of the header `api_key`; other keys are refused with the status `refusal`.
        limit: maximum requests in any `limit_seconds`; further ones get 429.
        retry_after: the form of a 429's `Retry-After`: `seconds`, `date`, or `none`.
        faults: the fault of each request, by its number.
        clock: the current time; versions newer than it are not visible yet. Without a clock, all are visible.
        requests: the parameters of each request, in order.
        refused: how many requests exceeded the limit.
    """

    records: list[Record]
    key: str = "demo"
    refusal: int = 401
    page_size: int = 100
    limit: int | None = None
    limit_seconds: float = 60.0
    retry_after: str = "seconds"
    faults: Mapping[int, str] = field(default_factory=dict)
    silence_seconds: float = 60.0
    clock: Callable[[], datetime] | None = None
    requests: list[dict[str, str]] = field(default_factory=list)
    refused: int = 0
    _times: deque[float] = field(default_factory=deque)
    _repeated: int = 0  # pages that were sent twice

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(routes=[Route("/campaigns", self.campaigns)])

    async def campaigns(self, request: Request) -> Response:
        """One page of records, the least recently changed first."""
        self.requests.append(dict(request.query_params))
        fault = self.faults.get(len(self.requests), "")
        if (limited := self._limited()) is not None:
            return limited
        if not secrets.compare_digest(request.headers.get("api_key", "").encode(), self.key.encode()):
            return JSONResponse({"error": "wrong api_key"}, self.refusal)
        if fault.isdecimal():
            return JSONResponse({"error": "it was not to be"}, int(fault), headers=self._come_again(0.0, fault))
        if fault in ("slow", "silent"):
            await asyncio.sleep(1.0 if fault == "slow" else self.silence_seconds)
        if fault == "garbage":
            return Response("<html>Bad gateway</html>", media_type="text/html")
        if fault == "limit-403":
            return JSONResponse({"error": "secondary limit"}, 403, headers=self._come_again(0.0, "429"))
        if fault == "limit-200":
            return JSONResponse({"ok": False, "error": "ratelimited"})
        if fault == "nothing":
            return Response(status_code=204)
        try:
            body, headers = self._page(request, fault)
        except ValueError:
            return JSONResponse({"error": "page, page_size and cursor are numbers"}, 400)
        if fault == "cut":
            text = json.dumps(body).encode()
            return Response(text[: len(text) // 2], headers={"Content-Length": str(len(text))})
        if fault == "encoded":
            headers |= {"Content-Encoding": "gzip"}
        self._commit(fault)
        return JSONResponse(body, headers=headers)

    def visible(self) -> list[Record]:
        """The newest visible version of each record, the least recently changed first."""
        now = f"{self.clock():%Y-%m-%dT%H:%M:%SZ}" if self.clock else "9999"
        newest: dict[tuple[str, str], Record] = {}
        for record in self.records:
            at = record["last_updated_at"]
            held = newest.get(identity(record))
            if at <= now and (held is None or held["last_updated_at"] <= at):
                newest[identity(record)] = record
        return sorted(newest.values(), key=lambda record: (record["last_updated_at"], *identity(record)))

    def _limited(self) -> Response | None:
        if self.limit is None:
            return None
        now = time.monotonic()
        while self._times and self._times[0] + self.limit_seconds <= now:
            self._times.popleft()
        if len(self._times) < self.limit:
            self._times.append(now)
            return None
        self.refused += 1
        wait = self._times[0] + self.limit_seconds - now
        return JSONResponse({"error": "too many requests"}, 429, headers=self._come_again(wait, "429"))

    def _come_again(self, wait: float, status: str) -> dict[str, str]:
        """The `Retry-After` header of a refusal; both its forms hold whole seconds only."""
        if status != "429" or self.retry_after == "none":
            return {}
        whole = int(wait) + 1
        if self.retry_after == "seconds":
            return {"Retry-After": str(whole)}
        return {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=whole), usegmt=True)}

    def _page(self, request: Request, fault: str) -> tuple[dict[str, Any], dict[str, str]]:
        asked = dict(request.query_params)
        size = max(1, min(int(asked.get("page_size", self.page_size)), LARGEST_PAGE))
        found = [r for r in self.visible() if r["last_updated_at"] >= asked.get("last_updated_at", "")]
        is_numbered = "page" in asked
        if asked.get("page") == "1":
            self._repeated = 0
        start = (
            (int(asked["page"]) - 1 - self._repeated) * size
            if is_numbered
            else int(asked.get("cursor", "0").split("-")[0])
        )
        if fault == "again":
            start = max(0, start - size)
            self._repeated += is_numbered
        data: list[Any] = [] if fault == "empty" else [_spoiled(r, fault) for r in found[start : start + size]]
        if fault == "malformed":
            data[1:1] = [None, "a text", {"id": "campaign-x", "metrics": "none"}, {"id": None, "metrics": [7]}]
        body: dict[str, Any] = {"data": data, "total": len(found), "next_cursor": None}
        headers = {}
        following = start if fault == "empty" else start + size
        if following < len(found):
            body["next_cursor"] = f"{following}-{len(self.requests)}"  # never the same twice
            parameters = urlencode({**asked, "cursor": body["next_cursor"]})
            headers["Link"] = f'<{request.url.replace(query=parameters)}>; rel="next"'
        return body, headers

    def _commit(self, fault: str) -> None:
        """Simulates writes by others between pages."""
        if fault not in ("shift", "late"):
            return
        held = self.visible()
        at = held[-1]["last_updated_at"] if fault == "shift" else held[0]["last_updated_at"]
        name = {} if fault == "shift" else {"id": f"{held[0]['id']}-late"}
        self.records.append({**held[0], **name, "last_updated_at": at})


def simulated(window: Window, scale: float, seed: int) -> list[Record]:
    """All versions of the records of some days; with a clock, the API shows future ones when their time comes."""
    campaigns = max(FEWEST_CAMPAIGNS, round(CAMPAIGNS_AT_SCALE_1 * scale))
    return versions(window, campaigns, Random(f"{seed} campaigns"))


def identity(record: Record) -> tuple[str, str]:
    """The identity of a record, the same in all its versions: the campaign and its first day."""
    metrics = record["metrics"]
    return str(record["id"]), min((str(line["date"]) for line in metrics), default="")


def _spoiled(record: Record, fault: str) -> Record:
    if fault == "extra":
        lines = [{**line, "reach": 7} for line in record["metrics"]]
        return {**record, "objective": "sales", "metrics": lines}
    if fault == "retyped":
        lines = [
            {**line, "impressions": f"{line['impressions']} or so", "cost": float(line["cost"])}
            for line in record["metrics"]
        ]
        return {**record, "name": 7, "metrics": lines}
    return record


@contextmanager
def served(api: CampaignsApi, port: int = 0) -> Iterator[str]:
    """Serves on loopback until the block ends.

    Args:
        port: 0 picks a free one.

    Returns:
        The address.

    Raises:
        OSError: the port is taken.
    """
    config = uvicorn.Config(api.app(), host="127.0.0.1", port=port, log_level="critical", timeout_graceful_shutdown=1)
    sock = config.bind_socket() if port == 0 else None
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock] if sock else None}, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise OSError(f"port {port} is taken by another program; choose one with --port")
        time.sleep(0.01)
    address = server.servers[0].sockets[0].getsockname()
    try:
        yield f"http://{address[0]}:{address[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
