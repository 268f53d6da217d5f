"""`new-source` at the prompt: what it writes, what it refuses, and that it is all or nothing."""

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import Result
from typer.testing import CliRunner

from analytics_assets import defs as domains
from analytics_assets.cli import new
from analytics_assets.cli.app import app
from analytics_assets.scaffold import write
from analytics_assets.scaffold.write import write_all
from analytics_assets.settings import get_settings
from analytics_assets_tests.support.project import Project, day, on_days_of_tests
from analytics_assets_tests.support.shop import written

ORDERS = "order_id,ordered,amount\n1,04/03/2026,7.50\n2,05/03/2026,8.00\n"


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Types `new-source` in an empty project."""
    monkeypatch.setattr(new, "PROJECT_DIR", tmp_path / "project")
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    yield lambda *arguments: CliRunner().invoke(app, ["new-source", *map(str, arguments)])
    get_settings.cache_clear()


def tree(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_it_says_what_it_took_for_granted_and_writes_and_drops(typed: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(ORDERS)
    done = typed("my_orders", file)
    assert done.exit_code == 0, done.output
    assert "taken: Dates of ordered, such as 04/03/2026: which comes first? month" in " ".join(done.output.split())
    assert "2 rows of 1 file would be accepted, 0 rejected" in done.output
    assert len(tree(tmp_path / "project")) == 11
    assert tree(tmp_path / "data") == {"inbox/my_orders/orders.csv"}
    again = typed("my_orders", file)
    assert again.exit_code == 1
    assert "is there already; nothing was written" in " ".join(again.output.split())


def test_a_dry_run_writes_nothing_and_says_what_would_be_written(typed: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    done = typed("my_orders", tmp_path / "orders.csv", "--dry-run")
    assert (done.exit_code, tree(tmp_path)) == (0, {"orders.csv"})

    def lines(output: str) -> list[str]:
        return re.findall(r"(\S+\.(?:py|sql|yml)) +│ +([\d,]+)", output)

    written = typed("my_orders", tmp_path / "orders.csv")
    assert len(lines(written.output)) == 11
    assert lines(done.output) == lines(written.output)
    for name, count in lines(written.output):
        assert len((tmp_path / "project" / name).read_text().splitlines()) == int(count), name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["consent", "orders.csv"], "'consent' is the name of a domain already"),
        (["company", "orders.csv"], "'mart_company_daily' is the name of a model already"),
        (["x" * 50, "orders.csv"], "is no name of a domain"),
        (["events", "nothing.csv"], "there is no such file"),
        (["my-events", "orders.csv"], "try my_events"),
        (["my_orders", "orders.csv", "--time", "amount"], "--time amount: that is no column of times"),
        (["my_orders", "orders.csv", "--key", "nothing"], "--key names nothing; there is order_id"),
        (["my_orders", "orders.csv", "--kind", "list"], "--kind 'list' is none of facts, snapshot, delivery"),
        (["my_orders", "http://127.0.0.1:9/orders"], "the API cannot be reached"),
        (["my_orders", "http://127.0.0.1:9/orders", "orders.csv"], "give files, or the address of one page"),
    ],
)
def test_a_mistake_is_answered_and_nothing_is_written(
    typed: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "orders.csv").write_text(ORDERS)
    done = typed(*arguments)
    assert done.exit_code == 1
    assert said in " ".join(done.output.split())
    assert tree(tmp_path) == {"orders.csv"}


def test_another_file_in_the_inbox_is_not_replaced_and_then_nothing_is_written(
    typed: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    there = tmp_path / "data" / "inbox" / "my_orders" / "orders.csv"
    there.parent.mkdir(parents=True)
    there.write_text("other")
    assert typed("my_orders", tmp_path / "orders.csv").exit_code == 1
    assert (there.read_text(), tree(tmp_path / "project")) == ("other", set())


def test_if_one_file_cannot_be_written_none_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replacing, written = write.replacing, []

    def full_disk(file: Path) -> Any:
        if len(written) == 2:
            raise OSError("no space left on device")
        written.append(file)
        return replacing(file)

    monkeypatch.setattr(write, "replacing", full_disk)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.txt").write_text("mine")
    with pytest.raises(OSError, match="no space left"):
        write_all({"a/b/one.sql": "1", "a/two.sql": "2", "c/three.sql": "3"}, tmp_path)
    assert len(written) == 2
    assert {str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*")} == {"a", "a/mine.txt"}


@pytest.fixture
def domains_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Domains are also those that were written in the test."""
    before = set(sys.modules)
    monkeypatch.setattr(
        domains, "__path__", [*domains.__path__, str(tmp_path / "project" / "analytics_assets" / "defs")]
    )
    yield
    for name in set(sys.modules) - before:
        if name.startswith(f"{domains.__name__}.my_orders"):
            del sys.modules[name]


@contextmanager
def serving(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The address of an API whose pages hold three records and name the next one."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            first = int(parse_qs(urlsplit(self.path).query).get("cursor", ["0"])[0])
            more = first + 3 < len(records)
            self.send_response(200)
            self.end_headers()
            body = {"items": records[first : first + 3], "next_cursor": first + 3 if more else None}
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


@pytest.mark.models_alone
def test_a_page_of_an_api_becomes_a_domain_whose_pull_fills_the_mart(
    typed: Callable[..., Result], tmp_path: Path, domains_folder: None
) -> None:
    records = [
        {"id": n, "created_at": f"{day(n % 4)}T10:00:00Z", "country": "DE" if n % 2 else "FR", "total": n}
        for n in range(1, 8)
    ]
    with serving(records) as address:
        done = typed("my_orders", f"{address}/orders", "--no-drop", "--by", "country")
        assert done.exit_code == 0, done.output
        written_domain = import_module(f"{domains.__name__}.my_orders")
        source, (extract,) = written_domain.DOMAIN.sources[0], written_domain.DOMAIN.extracts
        assert list(source.explode({"pulled_at": "now", "record": {"id": 1}})) == [{"pulled_at": "now", "id": 1}]
        assert (extract.endpoint.path, extract.endpoint.records) == ("orders", "items")

        folder = tmp_path / "project" / "dbt_project"
        models = {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}
        api = {"url": address, "key": "demo", "requests": 100, "seconds": 1}
        with written(tmp_path / "dbt", models):
            domain = replace(on_days_of_tests(written_domain.DOMAIN), reports=())
            project = Project(tmp_path / "pulled", [domain], {"api": {"my_orders": api}})
            runner = project.runner()
            runner.pull({extract.asset})
            assert not runner.outcome.failures
            project.settle()
    held = project.frame("mart_my_orders_daily").sort("date", "country").select("date", "country", "total_total")
    expected: dict[tuple[date, str], int] = {}
    for one in records:
        at = date.fromisoformat(one["created_at"][:10]), one["country"]
        expected[at] = expected.get(at, 0) + one["total"]
    assert {(at, country): int(total) for at, country, total in held.rows()} == expected
