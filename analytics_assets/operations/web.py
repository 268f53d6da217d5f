"""The UI's web server, behind a guard; the only module that knows how Dagster starts that server.

    python -m analytics_assets.operations.web …        what `dagster-webserver …` does, guarded
    python -m analytics_assets.operations.web dev …    what `dg dev …` does, guarded: `make dev`

`dev` takes the port of ANALYTICS_PORT, or the next free one. Both also show the reports and the dbt docs.

Dagster's web server checks neither the Host nor the Origin of a request, and executes mutations sent by GET or as a
form. So any page that is open in the same browser could launch runs and wipe assets; with a domain name that resolves
to 127.0.0.1, it could read everything, too.
"""

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from analytics_assets.dagster_internals import module_of_dagster_dev
from analytics_assets.operations.served_files import WithFiles
from analytics_assets.settings import PROJECT_DIR, get_settings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_JSON = frozenset({"application/json", "application/graphql"})
"""Content types that a page of another origin cannot send without a CORS preflight, which Dagster never grants."""


class Guard:
    """Passes requests of people, programs and the application's own pages, and refuses those of other pages.

    Args:
        ui_url: where people reach the UI; loopback addresses are always accepted.
    """

    def __init__(self, app: ASGIApp, ui_url: str) -> None:
        ui = urlsplit(ui_url)
        self._app, self._hosts, self._ui = app, LOOPBACK | {ui.hostname or "localhost"}, ui.netloc.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request or a websocket handshake: with 403 and the reason, or as the application does."""
        why = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        await (PlainTextResponse(f"Refused: {why}.\n", 403) if why else self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        headers, method = Headers(scope=scope), scope.get("method", "GET")
        hosts = headers.getlist("host")
        if len(hosts) != 1 or _host(f"//{hosts[0]}") not in self._hosts:
            return "the server is not known by this name; ANALYTICS_UI_URL is to say where people reach it"
        origins = {origin.lower().partition("://")[2] for origin in headers.getlist("origin")}
        kind = [method, headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")]
        is_link = kind == ["GET", "navigate", "document"]  # a link that a person follows, as in an alert
        is_foreign = headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not is_link
        if is_foreign or "" in origins or origins - {hosts[0].lower(), self._ui}:
            return "a page of another origin asks for it"
        if scope["type"] == "http" and scope["path"].rstrip("/").endswith("/graphql"):
            is_page = method == "GET" and "text/html" in headers.get("accept", "")  # Dagster executes nothing then
            body = headers.get("content-type", "").partition(";")[0].strip().lower()
            if not is_page and (method != "POST" or body not in _JSON):
                return "GraphQL is asked by POST, as JSON"
        return None


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:  # an IPv6 address without its closing bracket
        return None


DBT_DOCS = PROJECT_DIR / "dbt_project" / "target" / "docs"
"""Where `make docs` writes the page of the dbt docs."""

PORTS_TRIED = 100


@contextmanager
def free_port(wanted: int) -> Iterator[int]:
    """A port of 127.0.0.1 that is free: the wanted one, or else the next.

    Another clone may have chosen a port some seconds ago on which its server does not listen yet. So each choice is a
    lock, which is held until the block ends.

    Raises:
        ValueError: none of so many ports is free.
    """
    last = min(wanted + PORTS_TRIED, 65_535)
    for port in range(wanted, last + 1):
        with ExitStack() as held:
            try:
                held.enter_context(FileLock(Path(gettempdir()) / f"analytics-assets-{os.getuid()}-{port}", timeout=0))
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            yield port
            return
    raise ValueError(f"none of the ports {wanted} to {last} is free; set ANALYTICS_PORT to another one")


def main(arguments: Sequence[str]) -> None:
    """Runs Dagster's own programs with these arguments, guarded.

    Dagster has no setting for a guard in either program, so two of its names are replaced. If a version no longer has
    them, this fails; if it no longer uses them, the tests that query a running server fail.
    """
    os.environ.pop("DAGSTER_MODULE_NAME", None)  # `analytics-assets env` exports it; Dagster takes no workspace with it
    if arguments[:1] == ["dev"]:
        # Starts the server as `python -m dagster_webserver …`, in a process of its own.
        from dagster_dg_cli.cli.dev import dev_command

        dev = module_of_dagster_dev()
        start = dev.open_ipc_subprocess

        def start_guarded(parts: Sequence[str], **how: Any) -> Any:
            return start([__spec__.name if part == "dagster_webserver" else part for part in parts], **how)

        dev.open_ipc_subprocess = start_guarded
        wanted = get_settings().port
        with free_port(wanted) as port:
            os.environ["ANALYTICS_PORT"] = str(port)  # the links in messages begin with it
            get_settings.cache_clear()
            taken = f" (port {wanted} is taken)" if port != wanted else ""
            here = f"http://127.0.0.1:{port}"
            sys.stderr.write(f"the UI comes up at {here}{taken}, the reports at {here}/exports/; Ctrl-C ends it\n")
            dev_command([*arguments[1:], "--port", str(port)], prog_name="dg dev", auto_envvar_prefix="DAGSTER_CLI")
    else:
        # Creates the application, and passes it to uvicorn.
        from dagster_webserver import cli

        create = cli.create_app_from_workspace_process_context

        def create_guarded(*given: Any, **how: Any) -> Guard:
            settings = get_settings()
            app = WithFiles(create(*given, **how), settings.exports_dir, DBT_DOCS, urlsplit(settings.ui_url).path)
            return Guard(app, settings.ui_url)

        cli.create_app_from_workspace_process_context = create_guarded  # type: ignore[assignment]
        cli.cli(list(arguments), prog_name="dagster-webserver", auto_envvar_prefix="DAGSTER_WEBSERVER")


if __name__ == "__main__":
    main(sys.argv[1:])
