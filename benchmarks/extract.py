"""Pulls of prepared pages: the client's own CPU time, and how much of its request budget it uses."""

import tempfile
import time
from pathlib import Path

import httpx

from analytics_assets_tests.support.pages import pages_served, pull_pages

OURS = """
from pathlib import Path
from analytics_assets_tests.support.pages import pull_pages
pull_pages(Path(sys.argv[2]) / "first", sys.argv[1])  # so that all libraries are loaded
t = time.process_time()
pull_pages(Path(sys.argv[2]) / "measured", sys.argv[1])
seconds = time.process_time() - t
import shutil; shutil.rmtree(sys.argv[2])
"""
"""The CPU time of a pull; excludes the server and waiting."""

BARE = """
import httpx
def read():
    with httpx.Client(base_url=sys.argv[1], headers={"api_key": "demo"}) as client:
        cursor, records = "0", 0
        while cursor is not None:
            body = client.get("campaigns", params={"cursor": cursor}).json()
            records += len(body["data"])
            cursor = body["next_cursor"]
read()
t = time.process_time()
read()
seconds = time.process_time() - t
"""
"""A loop that requests page after page, reads the records, and does nothing with them."""


def use_of_budget(requests: int = 100, seconds: float = 2.0, times: int = 6) -> tuple[float, float]:
    """Seconds from the first request to the first request in the budget's last span: as measured, and the minimum."""
    with tempfile.TemporaryDirectory() as folder, pages_served(requests * times) as url:
        started = time.perf_counter()
        pull_pages(Path(folder), url, requests, seconds)
        assert time.perf_counter() - started > seconds * (times - 1)
        arrived = httpx.get(f"{url}/arrived").json()
    return arrived[requests * (times - 1)] - arrived[0], seconds * (times - 1)
