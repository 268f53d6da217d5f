"""Takes every picture of the docs: makes the demo in a temporary folder, and looks at it with a headless Chromium.

`make pictures` runs it, in five minutes; `make pictures sessions campaigns-graph` takes some of them.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, FloatRect, expect

from analytics_assets_tests.support.browser import chromium, open_page
from analytics_assets_tests.support.live import Live, running
from analytics_assets_tests.support.project import YESTERDAY

DAYS = 30
WIDTH = 1280
MARGIN = 20  # pixels around a graph
IMAGES = Path(__file__).parent / "images"

DASHBOARDS = {
    "dashboard": ("consent", 1400),
    "sessions": ("sessions", 1290),
    "campaigns": ("campaigns", 1010),
    "marketing": ("marketing", 1430),
    "attribution": ("attribution", 1900),
    "products": ("product", 1555),
}
"""By picture: the report, and how many pixels of its dashboard are shown."""

GRAPHS = {"asset-graph": "", "campaigns-graph": "campaigns"}
"""By picture: the group of assets; of all groups if it is empty, each as one box."""


def main(names: Sequence[str]) -> None:
    """Takes the named pictures; all of them if none is named."""
    if unknown := set(names) - DASHBOARDS.keys() - GRAPHS.keys():
        raise SystemExit(f"no such picture: {', '.join(sorted(unknown))}; there is {', '.join((*DASHBOARDS, *GRAPHS))}")
    wanted = names or [*DASHBOARDS, *GRAPHS]
    with TemporaryDirectory() as folder, chromium() as browser:
        data = Path(folder) / "data"
        live = Live(data, YESTERDAY - (DAYS - 1) * (YESTERDAY.resolution))
        program = Path(sys.executable).parent / "analytics-assets"
        data.mkdir()
        subprocess.run([program, "demo"], env=live.env, check=True, stdout=subprocess.DEVNULL)
        for name in wanted:
            if name in DASHBOARDS:
                _dashboard(browser, data, name)
        if any(name in GRAPHS for name in wanted):
            with running(data, live.start_date) as live:
                live.kill("daemon")  # nothing is made while it is looked at
                for name in wanted:
                    if name in GRAPHS:
                        _graph(browser, live, name)


def _dashboard(browser: Browser, data: Path, name: str) -> None:
    report, height = DASHBOARDS[name]
    page = browser.new_page(viewport={"width": WIDTH, "height": height})
    open_page(page, (data / "exports" / f"{report}_dashboard.html").as_uri())
    page.wait_for_timeout(500)  # for the charts
    page.screenshot(path=IMAGES / f"{name}.png")
    page.close()


def _graph(browser: Browser, live: Live, name: str) -> None:
    page = browser.new_page(viewport={"width": 2600, "height": 1200})
    location = f"grpc:127.0.0.1:{live.code_port}"
    group = GRAPHS[name]
    place = f"locations/{location}/asset-groups/{group}/lineage" if group else "asset-groups"
    page.goto(f"http://127.0.0.1:{live.web_port}/{place}")
    page.locator("foreignObject", has_text="landed_" if group else "consent").first.wait_for(timeout=60_000)
    for offer in page.locator("button", has_text="Skip").all():  # to join a newsletter
        offer.click()
    for meanwhile in ("Loading...", "fetching statuses"):
        expect(page.get_by_text(meanwhile)).to_have_count(0, timeout=60_000)
    page.wait_for_timeout(2_000)  # for the layout
    boxes = [box for node in page.locator("foreignObject").all() if (box := node.bounding_box())]
    left, top = (min(box[side] for box in boxes) - MARGIN for side in ("x", "y"))
    right, bottom = (
        max(box[side] + box[size] for box in boxes) + MARGIN for side, size in (("x", "width"), ("y", "height"))
    )
    clip: FloatRect = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    page.screenshot(path=IMAGES / f"{name}.png", clip=clip)
    page.close()


if __name__ == "__main__":
    os.environ.pop("DAGSTER_HOME", None)
    main(sys.argv[1:])
