"""What `make dev` starts, asked as a browser asks for pages of its own, for foreign ones, and as programs ask."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from analytics_assets.operations.web import Guard
from analytics_assets_tests.support.browser import NEEDS_BROWSER, chromium
from analytics_assets_tests.support.live import free_port, until

DEFINITIONS = """
import dagster as dg

@dg.asset
def one(): ...

defs = dg.Definitions(assets=[one])
"""
MUTATION = """
mutation {
  reportRunlessAssetEvents(eventParams: {eventType: ASSET_MATERIALIZATION, assetKey: {path: ["one"]}}) { __typename }
}
"""
EVENTS = '{ assetOrError(assetKey: {path: ["one"]}) { ... on Asset { assetMaterializations(limit: 9) { runId } } } }'
EVIL = "http://evil.example"


@dataclass
class Dev:
    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def events(self) -> int:
        """How often the mutation was executed."""
        answer = httpx.post(f"{self.url}/graphql", json={"query": EVENTS}, timeout=60).json()
        return len(answer["data"]["assetOrError"].get("assetMaterializations", ()))


@contextmanager
def started(folder: Path) -> Iterator[Dev]:
    """The web server as `make dev` starts it, through `dagster dev`, with one asset."""
    port = free_port()
    (folder / "defs.py").write_text(DEFINITIONS)
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    command = [sys.executable, "-m", "analytics_assets.operations.web", "dev", "-f", "defs.py"]
    env = os.environ | {"DAGSTER_HOME": str(folder), "ANALYTICS_UI_URL": "https://ui.example"}
    env |= {"ANALYTICS_PORT": str(port), "ANALYTICS_DATA_DIR": str(folder / "data")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    found = Dev(process, port, folder)

    def answers() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return httpx.get(f"{found.url}/server_info", timeout=60).is_success
        except httpx.TransportError:
            return False

    try:
        until(answers, 120, "the server answers")
        yield found
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    with started(tmp_path_factory.mktemp("web")) as found:
        yield found


FORM = {"content-type": "application/x-www-form-urlencoded"}
REFUSED: dict[str, tuple[str, dict[str, str]]] = {
    "an image, in an old browser": ("GET", {}),
    "an image": ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}),
    "a form": ("POST", FORM | {"origin": EVIL}),
    "a form, in an old browser": ("POST", FORM),
    "a form in a sandbox": ("POST", FORM | {"origin": "null"}),
    "a form that leads away": (
        "POST", FORM | {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    ),
    "a script": ("POST", {"origin": EVIL, "content-type": "application/json"}),
    "a script that calls JSON text": ("POST", {"content-type": "text/plain; x=application/json"}),
    "a server on another port": ("POST", {"origin": "http://127.0.0.1:8888", "content-type": "application/json"}),
    "a name that leads to 127.0.0.1": ("POST", {"host": "evil.example:3000", "content-type": "application/json"}),
    "such a name, of the same origin": (
        "POST", {"host": "evil.example", "origin": EVIL, "content-type": "application/json"}
    ),
    "a name that only begins so": ("POST", {"host": "127.0.0.1.evil.example", "content-type": "application/json"}),
    "an address that does not end": ("POST", {"host": "[::1", "content-type": "application/json"}),
}  # fmt: skip


@pytest.mark.parametrize("asked", REFUSED)
def test_no_other_page_sends_a_mutation(dev: Dev, asked: str) -> None:
    method, headers = REFUSED[asked]
    body = json.dumps({"query": MUTATION}) if "json" in headers.get("content-type", "") else None
    answer = httpx.request(
        method, f"{dev.url}/graphql", params={"query": MUTATION}, content=body, headers=headers, timeout=60
    )
    assert answer.status_code == 403, answer.text
    assert answer.text.startswith("Refused: ")
    assert dev.events() == 0


@pytest.mark.parametrize("path", ["/", "/server_info", "/report_asset_materialization/one", "/logs/a/b"])
def test_no_other_page_asks_for_anything_or_shows_the_ui_in_a_frame(dev: Dev, path: str) -> None:
    frame = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
    for headers in ({"origin": EVIL}, {"host": "evil.example"}, frame, {"origin": "null"}):
        method = "POST" if path.startswith("/report") else "GET"
        assert httpx.request(method, dev.url + path, headers=headers, timeout=60).status_code == 403, headers
    assert dev.events() == 0


def test_a_websocket_is_opened_by_the_ui_and_by_programs_and_by_no_other_page(dev: Dev) -> None:
    address = f"ws://127.0.0.1:{dev.port}/graphql"
    for origin in (None, dev.url):
        with connect(address, origin=origin, subprotocols=["graphql-ws"]) as socket:  # type: ignore[arg-type,list-item]
            socket.send(json.dumps({"type": "connection_init"}))
            assert json.loads(socket.recv(timeout=60)) == {"type": "connection_ack"}
    for origin in (EVIL, "null", "http://127.0.0.1:8888"):
        with pytest.raises(InvalidStatus, match="403"), connect(address, origin=origin):  # type: ignore[arg-type]
            pass


def test_the_ui_is_served_as_before_to_links_in_messages_and_behind_its_address_too(dev: Dev) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    for headers in ({}, link, {"host": f"localhost:{dev.port}"}, {"host": f"[::1]:{dev.port}"}, {"host": "ui.example"}):
        answer = httpx.get(f"{dev.url}/runs", headers=headers, timeout=60)
        assert answer.status_code == 200, headers
        assert "<html" in answer.text.lower()
    assert httpx.get(f"{dev.url}/graphql", headers={"accept": "text/html"}, timeout=60).status_code == 200

    own = {"origin": dev.url, "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
    behind_a_proxy = {"host": "ui.example", "origin": "https://ui.example"}
    for number, headers in enumerate(({}, own, behind_a_proxy), start=1):
        answer = httpx.post(f"{dev.url}/graphql", json={"query": MUTATION}, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        assert dev.events() == number


def test_it_is_on_the_port_that_it_says(dev: Dev) -> None:
    assert f"the UI comes up at {dev.url}, the reports at {dev.url}/exports/;" in (dev.folder / "log").read_text()


REPORT = """<!doctype html><link rel="icon" href="data:,"><title>a report</title><script>
const tried = {drawn: true};
for (const [name, what] of Object.entries({storage: () => localStorage, ui: () => window.open("/runs").document})) {
  try { what(); tried[name] = "reached"; } catch (error) { tried[name] = error.name; }
}
const asked = fetch("/graphql", {method: "POST", headers: {"content-type": "application/json"}, body: BODY});
asked.then(() => "answered", error => error.name).then(said => {
  document.title = JSON.stringify({...tried, fetch: said});
});
</script>""".replace("BODY", json.dumps(json.dumps({"query": MUTATION})))
"""A page with a script that somebody's file brought into a report: it asks for what the UI may, and opens the UI."""


@NEEDS_BROWSER
def test_a_report_is_shown_to_people_and_no_script_in_it_sends_what_the_ui_sends(dev: Dev) -> None:
    file = dev.folder / "data" / "exports" / "a_dashboard.html"
    file.parent.mkdir(parents=True)
    file.write_text(REPORT)
    before = dev.events()
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"{dev.url}/exports/a_dashboard.html")
        page.wait_for_function("document.title.startsWith('{')")
        said = json.loads(page.title())
    assert said == {"drawn": True, "storage": "SecurityError", "ui": "SecurityError", "fetch": "TypeError"}
    assert dev.events() == before
    assert httpx.get(f"{dev.url}/exports/a_dashboard.html", headers={"origin": EVIL}, timeout=60).status_code == 403


def test_ctrl_c_ends_the_server_and_all_that_came_with_it(tmp_path: Path) -> None:
    with started(tmp_path) as dev:  # its own: other tests may come after this one
        children = psutil.Process(dev.process.pid).children(recursive=True)
        assert len(children) >= 3, "web server, daemon, code"
        assert [one for one in children if "analytics_assets.operations.web" in one.cmdline()]
        dev.process.send_signal(signal.SIGINT)
        assert dev.process.wait(timeout=120) == 0
        assert psutil.wait_procs(children, timeout=60)[1] == []


@pytest.mark.parametrize("ui_url", ["http://", "https://", "http:///runs"])
def test_an_address_without_a_name_opens_nothing(ui_url: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(Request(scope).url.path)(scope, receive, send)

    async def statuses() -> list[int]:
        transport = httpx.ASGITransport(app=Guard(app, ui_url))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as client:
            hostile = ({"origin": "null"}, {"origin": "http://"}, {"host": ""}, {"host": ":3000"})
            return [(await client.get("/", headers=headers)).status_code for headers in ({}, *hostile)]

    assert asyncio.run(statuses()) == [200, 403, 403, 403, 403]
