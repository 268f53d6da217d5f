"""A Chromium without a window, and pages that complain of nothing while they are open."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from analytics_assets.settings import PROJECT_DIR

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = PROJECT_DIR / ".browser" / "node_modules" / "axe-core" / "axe.min.js"

NEEDS_BROWSER = pytest.mark.skipif(
    not (CHROMIUM and AXE.exists()) and not os.environ.get("CI"), reason="`make browser` was not run"
)

_LOCAL = ("file:", "data:", "blob:")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, for the block."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@contextmanager
def new_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page for the block, which fails on an error, a line on the console, a dialog or a request to elsewhere."""
    page = browser.new_page(**options)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
    page.on("request", lambda request: request.url.startswith(_LOCAL) or complaints.append(request.url))
    yield page
    page.close()
    assert complaints == [], complaints


def open_page(page: Page, address: str) -> None:
    """Opens a report, and waits until it is drawn."""
    page.goto(address)
    page.wait_for_selector("html[data-ready=yes]")


def faults_of_access(page: Page) -> list[tuple[str, str, list[Any]]]:
    """What axe finds that keeps people out: the rule, what to do, the first places."""
    page.evaluate(AXE.read_text())
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
    result = page.evaluate("tags => axe.run(document, {runOnly: tags})", tags)
    assert len(result["passes"]) > 15
    return [(one["id"], one["help"], [node["target"] for node in one["nodes"]][:3]) for one in result["violations"]]
