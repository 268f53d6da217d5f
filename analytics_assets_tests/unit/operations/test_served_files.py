"""What the UI's server shows beside the UI, and on which port it is."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from analytics_assets.operations.served_files import WithFiles
from analytics_assets.operations.web import free_port
from analytics_assets.reports.as_of import link_to
from analytics_assets_tests.support.project import test_settings as settings_in


async def the_ui(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse(f"the UI at {Request(scope).url.path}")(scope, receive, send)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a_dashboard.html", "a_workbook.xlsx", "a.csv", "a.md", "builds.sqlite", ".a.html.1.tmp"):
        (tmp_path / "exports" / "a_dashboard").mkdir(parents=True, exist_ok=True)
        (tmp_path / "exports" / name).write_text(name)
    (tmp_path / "exports" / "a_dashboard" / "a_dashboard-2026-01-05.html").write_text("of a day")
    (tmp_path / "exports" / ".hidden").mkdir()
    (tmp_path / "exports" / ".hidden" / "a.html").write_text("hidden")
    (tmp_path / "secret.html").write_text("a secret")
    (tmp_path / "exports" / "link.html").symlink_to(tmp_path / "secret.html")
    return tmp_path


def asked(folder: Path, *paths: str, below: str = "", method: str = "GET", **headers: str) -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        app = WithFiles(the_ui, folder / "exports", folder / "docs", below)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
            return [await client.request(method, path, headers=headers) for path in paths]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a_dashboard.html", "text/html; charset=utf-8"),
        ("a_dashboard/a_dashboard-2026-01-05.html", "text/html; charset=utf-8"),
        ("a_workbook.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("a.csv", "text/csv; charset=utf-8"),
        ("a.md", "text/plain; charset=utf-8"),
    ],
)
def test_a_report_is_shown_as_what_it_is_and_sandboxed(folder: Path, name: str, kind: str) -> None:
    (answer,) = asked(folder, f"/exports/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.content == (folder / "exports" / name).read_bytes()
    policy = answer.headers["content-security-policy"]
    assert "sandbox allow-scripts" in policy and "allow-same-origin" not in policy and "connect-src" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    (again,) = asked(folder, f"/exports/{name}", **{"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/exports/builds.sqlite",
        "/exports/.a.html.1.tmp",
        "/exports/.hidden/a.html",
        "/exports/../secret.html",
        "/exports/%2e%2e/secret.html",
        "/exports/..%2fsecret.html",
        "/exports//secret.html",
        "/exports/link.html",
        "/exports/a_dashboard/",
        "/exports/",
        "/docs/",
    ],
)
def test_nothing_else_is_shown(folder: Path, path: str) -> None:
    (answer,) = asked(folder, path)
    assert answer.status_code == 404 or answer.text.startswith("the UI at /secret"), "httpx resolves `..` by itself"
    assert "a secret" not in answer.text


def test_a_start_page_comes_and_nothing_is_written_and_all_else_is_the_ui(folder: Path) -> None:
    (folder / "exports" / "index.html").write_text("all reports")
    (folder / "docs").mkdir()
    (folder / "docs" / "index.html").write_text("the models")
    reports, docs, *to_folders = asked(folder, "/exports/", "/docs/", "/exports", "/docs")
    assert (reports.text, docs.text) == ("all reports", "the models")
    (linked,) = asked(folder, "/exports/../dbt_project/target/docs/index.html")
    assert linked.text == "the models", "as a browser resolves the link of the page of all reports"
    assert [answer.headers["location"] for answer in to_folders] == [
        f"http://127.0.0.1/{n}/" for n in ("exports", "docs")
    ]
    assert [one.status_code for one in asked(folder, "/exports/a.csv", method="PUT")] == [405]
    for path in ("/", "/exports.html", "/assets/exports/a.csv", "/documents"):
        assert asked(folder, path)[0].text == f"the UI at {path}"


def test_a_link_of_a_report_leads_to_it_also_where_the_ui_has_a_path(folder: Path) -> None:
    for ui_url, below in (("http://127.0.0.1:3000", ""), ("https://data.example/dagster/", "/dagster/")):
        settings = settings_in(folder, ui_url=ui_url)
        link = link_to(settings.exports_dir / "a_dashboard.html", settings).url or ""
        (answer,) = asked(folder, link, below=below)
        assert answer.text == "a_dashboard.html", link


def test_the_address_of_the_ui_follows_its_port_unless_it_is_set(tmp_path: Path) -> None:
    assert settings_in(tmp_path).ui_url == "http://127.0.0.1:3000"
    assert settings_in(tmp_path, port=3007).ui_url == "http://127.0.0.1:3007"
    assert settings_in(tmp_path, port=3007, ui_url="https://ui.example").ui_url == "https://ui.example"


def test_a_port_that_is_taken_or_chosen_is_left_to_the_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        with free_port(taken) as one, free_port(taken) as other:
            assert len({taken, one, other}) == 3
            assert taken < one < other
    with free_port(taken) as port:
        assert port == taken, "it is free again"
    with (
        socket.create_server(("127.0.0.1", 65_535)),
        pytest.raises(ValueError, match="set ANALYTICS_PORT"),
        free_port(65_535),
    ):
        pass
