"""Files that are written whole or not at all, whatever a killed process left beside them."""

import os
import sys
from pathlib import Path

import duckdb
import pytest

from analytics_assets.foundation.files import replacing, sweep


@pytest.mark.parametrize("ending", ["", ".wal", "-wal", "-shm"])
def test_what_a_killed_process_of_the_same_id_left_is_not_taken_for_ones_own(tmp_path: Path, ending: str) -> None:
    (tmp_path / f".state.db.{os.getpid()}.tmp{ending}").write_bytes(b"left")
    with replacing(tmp_path / "state.db") as temporary:
        assert not list(tmp_path.glob(".*"))
        temporary.write_bytes(b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["state.db"]
    assert (tmp_path / "state.db").read_bytes() == b"new"


def test_the_log_of_a_killed_copy_is_not_applied_to_the_next_one(tmp_path: Path) -> None:
    target = tmp_path / "copy.duckdb"
    killed = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    script = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]);"
        "c.execute('create table killed as select 1'); os._exit(9)"
    )
    os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", script, str(killed)])
    assert killed.with_name(f"{killed.name}.wal").exists()
    with replacing(target) as temporary, duckdb.connect(str(temporary)) as connection:
        connection.execute("create table copied as select 2 as n")
    with duckdb.connect(str(target)) as connection:
        assert connection.execute("select table_name from duckdb_tables()").fetchall() == [("copied",)]


def test_a_sweep_removes_what_was_left_and_nothing_else(tmp_path: Path) -> None:
    left = [f".state.db.1.tmp{ending}" for ending in ("", ".wal", "-wal", "-shm")]
    kept = ["state.db", "state.db-wal", ".hidden", "a.tmp"]
    for name in (*left, *kept):
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(kept)
