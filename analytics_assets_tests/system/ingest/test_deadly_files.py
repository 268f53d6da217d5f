"""Files whose reading ends the process."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from analytics_assets_tests.support.hostile_files import HOSTILE
from analytics_assets_tests.support.visits import HEADER, VISITS, MakeInbox, ids, visit

DEADLY = """
import os, signal
import polars as pl
from analytics_assets.ingest import landing
from analytics_assets.spec.source import Source
from analytics_assets.settings import Settings

real, columns = landing.read_batches, {"id": pl.String, "at": pl.Datetime, "amount": pl.Float64, "n": pl.Int64}

def read_batches(path, source):
    if "deadly" in path.read_text():
        os.kill(os.getpid(), signal.SIGKILL)
    return real(path, source)

landing.read_batches = read_batches
landing.Landing(Settings(_env_file=None), Source("visits", ("*.csv",), columns, ("id",), time="at")).run()
"""


def test_a_file_that_kills_the_process_is_tried_last_once_more_and_then_left_and_named(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    for n, name in enumerate(("1", "deadly", "3")):
        os.utime(visits.drop(f"{name}.csv", HEADER + visit(name)), ns=(n, n))
    landed = []
    for _ in range(2):
        env = os.environ | {"ANALYTICS_DATA_DIR": str(visits.settings.data_dir), "ANALYTICS_INBOX_SETTLE_SECONDS": "0"}
        ended = subprocess.run([sys.executable, "-c", DEADLY], env=env, capture_output=True)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        landed.append(ids(visits))
    assert landed == [[], ["1", "3"]]  # at first they are read together
    assert "was killed, 2 times" in visits.land().unreadable["deadly.csv"]  # though here it would not be
    assert visits.land().unreadable == {}
    visits.drop("deadly.csv", HEADER + visit("mended"))
    assert list(visits.land().landed) == ["deadly.csv"]
    assert not list(visits.settings.lake_dir.glob(".landing-*.reading"))


@pytest.mark.proof
@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_takes_no_more_memory_than_a_large_one(tmp_path: Path, make: str) -> None:
    code = f"""
import gzip, json, resource, sys
from pathlib import Path
from analytics_assets.ingest.landing import Landing
from analytics_assets_tests.support.project import test_settings
from analytics_assets_tests.support.visits import HEADER, VISITS
GOOD = "1,2025-06-01 10:00:00,1,1,\\n"
folder = Path(sys.argv[1], "inbox", "visits")
folder.mkdir(parents=True)
{make}
report = Landing(test_settings(Path(sys.argv[1])), VISITS).run()
assert report.landed or report.unreadable
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1_500_000  # KB, of the largest so far
