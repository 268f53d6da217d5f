"""A webhook that takes messages, and the sensors that send them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

from dagster import build_sensor_context

from analytics_assets_tests.support.project import Project


@dataclass
class Webhook:
    """A server on loopback that takes messages."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    bodies: list[dict] = field(default_factory=list)


@contextmanager
def taking_messages() -> Iterator[Webhook]:
    """A webhook, until the block ends."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(hook.statuses.pop(0) if hook.statuses else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook.url = f"http://127.0.0.1:{server.server_port}/secret-token"
    yield hook
    server.shutdown()


def tick(project: Project, cursors: dict[str, str | None]) -> None:
    """One tick of each of the two sensors that tell."""
    repository = project.definitions.get_repository_def()
    for name in ("tell_failed_runs", "tell_failed_checks"):
        sensor = project.definitions.resolve_sensor_def(name)
        context = build_sensor_context(
            instance=project.instance, repository_def=repository, cursor=cursors.get(name), sensor_name=name
        )
        with context:
            data = sensor.evaluate_tick(context)
        assert not [reaction.error for reaction in data.dagster_run_reactions if reaction.error], data
        cursors[name] = data.cursor
