"""Killed at each write, on a full disk, two at once, and beside a person: nothing lost, nothing doubled."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dagster import AssetSelection, DagsterInstance, DagsterRunStatus

from analytics_assets.defs.attribution import DOMAIN as ATTRIBUTION
from analytics_assets.foundation.failures import INTERRUPTED
from analytics_assets.operations.launcher import end_abandoned_runs
from analytics_assets.spec.asset import name_of
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.ledger import Ledger
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.killed import BY_KEY, MATERIALIZE, READS_USERS, SIGNALS, WRITES, WRITES_BY_KEY
from analytics_assets_tests.support.project import ALL_OF_ONE, WHEN_LANDED, YESTERDAY, Project, Tables, day

PROGRAM = [sys.executable, "-m", "analytics_assets.cli"]


def drop_late_files(project: Project) -> None:
    """Rows of two old days, one that is rejected, and a correction of a file that is there."""
    rows = event("late-1", day(1)) + event("late-3", day(3)) + event("bad", day(1)).replace("12:00:00", "noon")
    project.drop("consent_events", "events-late.csv", HEADER + rows)
    project.drop("consent_events", "events-first.csv", HEADER + event("first", day(2), count=5))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A settled project with new files in its inbox, on a Dagster home of its own."""
    project = Project(tmp_path_factory.mktemp("prepared") / "data", ALL_OF_ONE)
    project.drop("consent_events", "events-first.csv", HEADER + event("first", day(2)))
    done = run(project, *MATERIALIZE)
    assert done.returncode == 0, done.stdout
    drop_late_files(project)
    return project.folder


@pytest.fixture(scope="module")
def expected(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """What every table and every export holds where nothing disturbed it."""
    project = copy_of(prepared, tmp_path_factory.mktemp("undisturbed") / "data")
    project.settle()
    return everything_in(project)


def everything_in(project: Project) -> Tables:
    exports: Tables = {(name, YESTERDAY): [(content,)] for name, content in exports_of(project).items()}
    return project.tables(without=WHEN_LANDED) | exports


@pytest.fixture
def project(prepared: Path, tmp_path: Path) -> Project:
    return copy_of(prepared, tmp_path / "data")


def copy_of(folder: Path, target: Path) -> Project:
    shutil.copytree(folder, target)
    return Project(target, ALL_OF_ONE)


def exports_of(project: Project) -> dict[str, bytes]:
    """The files that reports were written to."""
    files = [file for file in project.settings.exports_dir.rglob("*.*") if file.suffix in (".html", ".xlsx")]
    return {str(file.relative_to(project.folder)): file.read_bytes() for file in files}


def env_of(project: Project, **more: str) -> dict[str, str]:
    return os.environ | {
        "ANALYTICS_DATA_DIR": str(project.folder),
        "ANALYTICS_START_DATE": str(day(0)),
        "ANALYTICS_END_DATE": str(YESTERDAY),
        "ANALYTICS_INBOX_SETTLE_SECONDS": "0",
        "ANALYTICS_RETRY_WAIT_SECONDS": "0.5",
        "DAGSTER_HOME": str(project.settings.dagster_home),
        **more,
    }


def run(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], env=env_of(project), capture_output=True, text=True, check=False)


@pytest.fixture
def at_home(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The same project in this process, on the Dagster home that the killed process used."""
    monkeypatch.setenv("DAGSTER_HOME", str(project.settings.dagster_home))
    yield project


def leftovers(project: Project) -> list[str]:
    """What lies in the lake, the warehouse and the published copy and belongs to nothing."""
    found = [str(file) for file in project.folder.rglob("*") if file.name.endswith((".tmp", ".unfinished"))]
    for source in project.sources:
        _, names = Ledger(project.settings.lake_dir).identities_and_pieces(source)
        landed = (project.settings.landed_dir / source.name).glob("*/*.parquet")
        found += [str(file) for file in landed if file.stem not in names]
    return found


IN_THE_SUITE = ("ledger", "dbt transaction", "published copy")
"""One write of each kind: of a store, of the warehouse, of a file. `make proof` kills at all of them."""


@pytest.mark.parametrize(
    "write", [pytest.param(write, marks=[] if write in IN_THE_SUITE else [pytest.mark.proof]) for write in WRITES]
)
def test_a_run_killed_at_a_write_loses_and_doubles_nothing_and_the_next_run_makes_it_good(
    write: str, at_home: Project, expected: Tables
) -> None:
    project = at_home
    killed = subprocess.run(
        [sys.executable, "-m", "analytics_assets_tests.support.killed", write], env=env_of(project), capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    with DagsterInstance.get() as instance:
        project.instance = instance
        (dead,) = end_abandoned_runs(instance)
        record = instance.get_run_by_id(dead)
        assert record is not None
        assert record.status is DagsterRunStatus.FAILURE
        project.settle()
        assert project.requested() == {}
    assert everything_in(project) == expected
    assert leftovers(project) == []
    rejects = (project.settings.rejects_dir / "consent_events").glob("*.parquet")
    assert len(list(rejects)) == 1


# ---------------------------------------------------------------------------------------------------- a full disk


@pytest.mark.parametrize(
    "place",
    ["landed", "exports", *(pytest.param(place, marks=pytest.mark.proof) for place in ("rejects", "raw", "published"))],
)
def test_a_full_disk_is_said_plainly_and_the_next_run_makes_it_good(
    place: str, project: Project, expected: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when a file of some folder is to be made durable."""
    real, tries = os.fsync, []

    def fsync(descriptor: int) -> None:
        if f"/{place}/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            tries.append(place)
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fsync)
        runner = project.runner()
        names = {key.path[-1] for key in project.definitions.resolve_asset_graph().get_all_asset_keys()}
        runner.land(names)
        runner.settle(names)
    assert len(tries) >= 3, "it may pass, so the step tries again"
    assert any("free some space; docs/operate.md" in failure for failure in runner.outcome.failures)
    project.settle()
    assert everything_in(project) == expected
    assert leftovers(project) == []


def small_disk(folder: Path, megabytes: int) -> bool:
    """Puts a small disk at a folder, where this machine lets one do so."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0


@pytest.mark.proof  # the suite has a write that fails as it does there
def test_a_disk_that_is_really_full_loses_nothing(prepared: Path, expected: Tables, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    if not small_disk(disk, 40):
        pytest.skip("only root may mount a small disk")
    try:
        project = copy_of(prepared, disk / "data")
        free = shutil.disk_usage(disk).free
        for keep in (0, 20_000, 400_000):  # nothing fits; the pieces fit; the raw days fit, and the warehouse does not
            ballast = disk / "ballast"
            ballast.write_bytes(b"\0" * (free - keep))
            done = run(project, *MATERIALIZE)
            assert done.returncode == 1, (keep, done.stdout)
            assert "Traceback" not in done.stdout + done.stderr, (keep, done.stdout, done.stderr)
            ballast.unlink()
            free = shutil.disk_usage(disk).free
        done = run(project, *MATERIALIZE)
        assert "free some space" not in done.stdout
        assert everything_in(project) == expected
        assert leftovers(project) == []
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


# ----------------------------------------------------------------------------------------------------- side by side


def test_two_runs_at_once_come_to_the_same_as_one(project: Project, expected: Tables) -> None:
    command = [*PROGRAM, *MATERIALIZE]
    both = [
        subprocess.Popen(command, env=env_of(project), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert not any("Traceback" in text for text in said), said
    assert everything_in(project) == expected
    assert leftovers(project) == []
    last = run(project, *MATERIALIZE)
    assert "Nothing was out of date" in last.stdout


def test_a_warehouse_that_a_person_has_open_is_said_and_waited_for_and_the_published_copy_goes_on(
    project: Project, expected: Tables
) -> None:
    """The step tries again for a while; what then still fails says who is in the way, and nothing is lost."""
    hold = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('open', flush=True); time.sleep(600)"
    person = subprocess.Popen(
        [sys.executable, "-c", hold, str(project.settings.warehouse_file)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert person.stdout is not None
        assert person.stdout.readline() == "open\n"
        done = run(project, *MATERIALIZE)
        assert done.returncode == 1
        assert "read data/published/analytics.duckdb instead" in " ".join(done.stdout.split())
    finally:
        person.kill()
        person.wait()
    run(project, *MATERIALIZE)
    assert everything_in(project) == expected


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "SIGTERM" else [pytest.mark.proof]) for name in SIGNALS]
)
def test_an_interruption_ends_the_process_is_told_in_one_line_and_may_be_tried_again(
    name: str, project: Project, expected: Tables
) -> None:
    program = [sys.executable, "-m", "analytics_assets_tests.support.killed", name]
    done = subprocess.run(program, env=env_of(project), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 130, done.stdout + done.stderr
    assert done.stderr == ""
    assert [line for line in done.stdout.splitlines() if "interrupted" in line] == [
        "interrupted: what was begun is made again by the next run"
    ]
    assert "Traceback" not in done.stdout
    attempts = Attempts(project.settings.lake_dir).read("mart_company_daily", project.window).values()
    assert {(attempt.reason, attempt.permanent) for attempt in attempts} == {(INTERRUPTED, False)}
    project.settle()
    assert everything_in(project) == expected


# ----------------------------------------------------------------------------------------------------- read by key

BY_USER = (replace(ATTRIBUTION, reports=()),)

USERS = "user_id,installed_at,created_at,updated_at,channel,campaign\n"


@pytest.fixture(scope="module")
def of_users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A settled project with payments of two users, of whom one comes late: their file is in the inbox."""
    project = Project(tmp_path_factory.mktemp("users") / "data", BY_USER)
    first = f"ann,{day(0)} 08:00:00,{day(0)} 08:00:00,{day(0)} 08:00:00,email,none\n"
    project.drop("users", "users-1.csv", USERS + first)
    payments = "".join(f"{name},{day(at)} 12:00:00,5,1\n" for name, at in (("ann", 1), ("eve", 1), ("eve", 3)))
    project.drop("revenue_and_rewards", "revenue_and_rewards-1.csv", "user_id,date,revenue,reward_to_user\n" + payments)
    done = run(project, *BY_KEY)
    assert done.returncode == 0, done.stdout
    project.drop("users", "users-2.csv", USERS + first.replace("ann", "eve").replace("email", "organic"))
    return project.folder


@pytest.mark.parametrize(
    "write",
    [pytest.param(one, marks=[] if one == "search for changed keys" else [pytest.mark.proof]) for one in WRITES_BY_KEY],
)
def test_a_run_killed_while_it_finds_the_days_of_changed_keys_leaves_none_out(
    write: str, of_users: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(of_users, tmp_path / "data")
    project = Project(tmp_path / "data", BY_USER)
    monkeypatch.setenv("DAGSTER_HOME", str(project.settings.dagster_home))
    killed = subprocess.run(
        [sys.executable, "-m", "analytics_assets_tests.support.killed", write], env=env_of(project), capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    with DagsterInstance.get() as instance:
        project.instance = instance
        assert len(end_abandoned_runs(instance)) == 1
        project.settle(READS_USERS)
        made = set(AssetSelection.assets(READS_USERS).upstream().resolve(project.definitions.resolve_asset_graph()))
        assert not {name_of(key) for key in made} & project.requested().keys()
    revenue = project.frame("int_revenue").select("the_day", "user_id", "channel").sort("the_day", "user_id")
    assert revenue.rows() == [(day(1), "ann", "email"), (day(1), "eve", "organic"), (day(3), "eve", "organic")]
    rebuilt = project.copy_to(tmp_path / "rebuilt")
    rebuilt.forget_builds()
    rebuilt.settle(READS_USERS)
    for name in sorted({name_of(key) for key in made} & {*project.models}):
        assert Counter(project.frame(name).rows()) == Counter(rebuilt.frame(name).rows()), name
