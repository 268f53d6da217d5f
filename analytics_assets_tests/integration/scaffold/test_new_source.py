"""`new-source` at the prompt: what it writes, what it refuses, and that it is all or nothing."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from analytics_assets.cli import new
from analytics_assets.cli.app import app
from analytics_assets.scaffold import write
from analytics_assets.scaffold.write import write_all
from analytics_assets.settings import get_settings

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


def test_a_page_of_an_api_becomes_a_domain_with_a_sketch_of_the_pull(
    typed: Callable[..., Result], tmp_path: Path
) -> None:
    records = [{"id": n, "created_at": f"2026-01-0{n}T10:00:00Z", "total": n} for n in range(1, 6)]

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"items": records, "next": None}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.handle_request, daemon=True)
    thread.start()
    done = typed("my_orders", f"http://127.0.0.1:{server.server_port}/v1/orders?page=1")
    server.server_close()
    assert done.exit_code == 0, done.output
    folder = tmp_path / "project" / "analytics_assets" / "defs" / "my_orders"
    held: dict[str, Any] = {}
    exec((folder / "sources.py").read_text(), held)
    source = held["MY_ORDERS"]
    assert list(source.explode({"pulled_at": "now", "record": {"id": 1}})) == [{"pulled_at": "now", "id": 1}]
    text = (folder / "extracts.py").read_text()
    code = text.replace("from analytics_assets.defs.my_orders.sources import MY_ORDERS\n", "")
    exec(code, held)
    assert held["MY_ORDERS_EXTRACT"].endpoint.path == "orders"
    assert held["MY_ORDERS_EXTRACT"].endpoint.records == "items"
