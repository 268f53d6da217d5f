"""APIs for tests: prepared pages from a process of its own, which cost next to nothing, and answers one by one.

`python -m analytics_assets_tests.support.pages pull FOLDER PAGES` pulls in this process and prints the megabytes that
it took at most.
"""

import json
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analytics_assets.defs.campaigns.api import Record
from analytics_assets.defs.campaigns.sources import CAMPAIGNS
from analytics_assets.extract.pull import Pull, Pulled, Span
from analytics_assets.settings import Api
from analytics_assets.spec.extract import Endpoint, Extract
from analytics_assets.spec.pagination import Cursor
from analytics_assets_tests.support.project import test_settings

RECORDS_PER_PAGE = 500
EXTRACT = Extract(CAMPAIGNS, Endpoint("campaigns", Cursor()), since="last_updated_at", changed="last_updated_at")


def a_record(number: int) -> Record:
    """A record as campaigns have them: a day in three countries, some 900 bytes."""
    line = {"date": "2026-01-05", "impressions": 12_345, "clicks": 123, "conversions": 4, "currency": "EUR"}
    return {
        "id": f"campaign-{number:06}",
        "name": f"Campaign {number}",
        "platform": "search",
        "budget": {"amount": 1_500, "currency": "EUR", "period": "daily"},
        "targeting": {"countries": ["DE", "FR", "US"], "age": "18-65", "interests": ["running", "hiking"]},
        "metrics": [
            {**line, "country": country, "cost": "45.67", "revenue": "89.01"} for country in ("DE", "FR", "US")
        ],
        "last_updated_at": "2026-01-06T03:04:05Z",
    }


class Pages:
    """So many pages, which differ in their first record and are rendered once; it writes down when requests came."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._others = json.dumps([a_record(number) for number in range(1, RECORDS_PER_PAGE)])[1:]
        self.arrived: list[float] = []

    async def __call__(self, scope: dict, receive: object, send: object) -> None:  # the least that ASGI wants
        if scope["type"] == "lifespan":
            while True:
                message = await receive()  # type: ignore[operator]
                await send({"type": message["type"] + ".complete"})  # type: ignore[operator]
                if message["type"] == "lifespan.shutdown":
                    return
        self.arrived.append(time.perf_counter())
        if scope["path"] == "/arrived":
            body = json.dumps(self.arrived)
        else:
            query = dict(part.split("=") for part in scope["query_string"].decode().split("&") if "=" in part)
            following = int(query.get("cursor", 0)) + 1
            cursor = f'"{following}"' if following < self._count else "null"
            first = json.dumps(a_record(1_000 + following))
            body = f'{{"data": [{first}, {self._others}, "next_cursor": {cursor}}}'
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": body.encode()})  # type: ignore[operator]


@dataclass
class Said:
    """One answer of `Answers`."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        sent = (
            self.body if isinstance(self.body, bytes) else b"" if self.body is None else json.dumps(self.body).encode()
        )
        return Response(sent, self.status, {"Content-Type": "application/json", **self.headers})


@dataclass
class Answers:
    """An API that gives one answer after another, whatever is asked, and the last one for ever; `served` serves it.

    Attributes:
        said: bodies, or answers; a function of the request makes one.
        requests: what was asked, with its headers.
    """

    said: Sequence[Any]
    requests: list[Request] = field(default_factory=list)

    def app(self) -> Starlette:
        async def page(request: Request) -> Response:
            self.requests.append(request)
            said = self.said[min(len(self.requests), len(self.said)) - 1]
            said = said(request) if callable(said) else said
            return (said if isinstance(said, Said) else Said(said)).response()

        return Starlette(routes=[Route("/{path:path}", page)])

    @property
    def asked(self) -> list[dict[str, str]]:
        """The parameters of each request."""
        return [dict(request.query_params) for request in self.requests]


@contextmanager
def bytes_served(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serves what no library would send: a function writes into the connection of each request, which was read."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.recv(10_000)
                speak(connection)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@contextmanager
def pages_served(count: int) -> Iterator[str]:
    """Serves so many pages from a process of its own until the block ends; gives the address."""
    command = [sys.executable, "-m", "analytics_assets_tests.support.pages", "serve", str(count)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


def pull_pages(folder: Path, url: str, requests: int = 1_000_000, seconds: float = 1) -> Pulled:
    """Pulls all pages into the inbox of a folder."""
    api = Api(url=url, key="demo", requests=requests, seconds=seconds)  # type: ignore[arg-type]
    return Pull(EXTRACT, api, test_settings(folder)).run(lambda: Span(datetime(2026, 1, 1, tzinfo=UTC)))


def _serve(count: int) -> None:
    import uvicorn

    config = uvicorn.Config(Pages(count), host="127.0.0.1", port=0, log_level="critical")  # type: ignore[arg-type]
    sock = config.bind_socket()
    print(f"http://127.0.0.1:{sock.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve(int(sys.argv[2]))
    else:
        with pages_served(int(sys.argv[3])) as address:
            assert pull_pages(Path(sys.argv[2]), address).progress.pages == int(sys.argv[3])
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
