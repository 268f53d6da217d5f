"""Pulls in a process of their own: killed, and held to their memory."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analytics_assets.defs.campaigns.api import CampaignsApi, served
from analytics_assets_tests.support.project import test_settings
from analytics_assets_tests.support.pulls import dropped, pull
from analytics_assets_tests.support.rest import records


def test_a_pull_that_is_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    api = CampaignsApi(records(400), faults=dict.fromkeys(range(20, 200), "slow"))
    program = (
        "import sys; from pathlib import Path\n"
        "from analytics_assets_tests.support.pulls import pull\n"
        "pull(Path(sys.argv[1]), sys.argv[2], timeout_seconds=30)"
    )
    with served(api) as url:
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), url])
        try:
            while len(api.requests) < 22:
                assert process.poll() is None
                time.sleep(0.05)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        settings = test_settings(tmp_path)
        assert dropped(settings) == []
        with (settings.lake_dir / "extracts" / "campaigns" / "pages.jsonl").open("ab") as file:
            file.write(b'{"pulled_at": "half a li')  # as a kill in the middle of a write leaves it
        api.faults, before = {}, [request.get("cursor") for request in api.requests]
        _, pulled = pull(tmp_path, url)
    assert [line["record"] for line in dropped(settings)] == records(400)
    assert pulled.progress.resumed == 1
    fetched_again = set(before) & {request.get("cursor") for request in api.requests[len(before) :]}
    assert len(fetched_again) <= 1, "only the page that was on its way at the kill"
    assert pulled.progress.pages == 40


def peak_mb(folder: Path, pages: int) -> float:
    """Megabytes that a process of its own took at most to pull so many pages of 500 records."""
    done = subprocess.run(
        [sys.executable, "-m", "analytics_assets_tests.support.pages", "pull", str(folder), str(pages)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


@pytest.mark.parametrize("pages", [80, pytest.param(1_000, marks=pytest.mark.proof)])
def test_memory_does_not_grow_with_the_number_of_pages(tmp_path: Path, pages: int) -> None:
    few, many = peak_mb(tmp_path / "few", 10), peak_mb(tmp_path / "many", pages)
    assert many < few + 15, "a page of 500 records takes about 1 MB as text"
