"""State that is damaged, lost or moved: what the project keeps about its data, in the hands of people and disks."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
from dagster import DagsterInstance
from pydantic import ValidationError

from analytics_assets.cli.sql import _query
from analytics_assets.dbt import project as dbt
from analytics_assets.dbt.project import prepare_manifest
from analytics_assets.defs.consent import DOMAIN as CONSENT
from analytics_assets.defs.consent.sources import CONSENT_EVENTS
from analytics_assets.foundation.failures import damage_in
from analytics_assets.foundation.files import Damaged
from analytics_assets.ingest.landing import piece_file
from analytics_assets.operations.health import State, check_health
from analytics_assets.operations.home import prepare_dagster_home
from analytics_assets.operations.reconciliation import reconcile
from analytics_assets.spec.source import Kind
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.builds import export_of, newest_export
from analytics_assets.state.ledger import Ledger, unfinished_mark
from analytics_assets.warehouse.interface import NotMade
from analytics_assets_tests.support.consent_events import HEADER as HEADER_OF_EVENTS
from analytics_assets_tests.support.consent_events import event
from analytics_assets_tests.support.inbox import Inbox
from analytics_assets_tests.support.project import Project, day, test_settings
from analytics_assets_tests.support.visits import HEADER, JUNE, VISITS, MakeInbox, ids, rows_of, totals

pytestmark = pytest.mark.models_alone

LOST: dict[str, Callable[[Path], object]] = {
    "deleted": lambda file: file.unlink(),
    "of no bytes": lambda file: file.write_bytes(b""),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:5000]),
    "garbage": lambda file: file.write_bytes(b"\0\1garbage" * 900),
    "of another program": lambda file: (file.unlink(), _database(file, "create table notes (text)")),
    "without its tables": lambda file: _database(file, "drop table pieces; drop table paths"),
    "without its rows": lambda file: _database(file, "delete from pieces; delete from paths; delete from contents"),
    "without its pieces": lambda file: _database(file, "delete from pieces"),
    "without its paths": lambda file: _database(file, "delete from paths"),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}


def _database(file: Path, script: str) -> None:
    with sqlite3.connect(file) as connection:
        connection.executescript(script)
    connection.close()


def ledger(inbox: Inbox) -> Ledger:
    return Ledger(inbox.settings.lake_dir)


def landed_history(visits: Inbox) -> None:
    """A superseded content, one under two names, one without rows, one refused, rejects, and a file that is gone."""
    visits.drop("a.csv", HEADER + "1,2025-06-01 10:00:00,1.5,2,x\n")
    visits.drop("b.csv", HEADER + "2,2025-06-02 10:00:00,1.5,2,x\n3,2025-06-02 10:00:00,1.5,many,x\n,,,,\n")
    visits.drop("empty.csv", HEADER)
    visits.drop("bad.csv", b"\xff\xfe\x00nonsense")
    visits.land()
    visits.drop("a.csv", HEADER + "4,2025-06-01 11:00:00,1.5,2,a longer note\n")
    visits.drop("copy of b.csv", (visits.settings.inbox_dir / "visits" / "b.csv").read_bytes())
    visits.land()
    (visits.settings.inbox_dir / "visits" / "b.csv").unlink()


def known(visits: Inbox) -> dict[str, object]:
    """All that a ledger says of a source, but the order in which it came to know it."""
    file = visits.settings.lake_dir / "ledger.sqlite"
    with sqlite3.connect(file) as connection:
        found: dict[str, object] = {
            table: connection.execute(
                f"select t.*, contents.identity from {table} t left join contents on contents.id = content_id"
            ).fetchall()
            for table in ("pieces", "rejected", "paths")
        }
        found["contents"] = connection.execute("select * from contents").fetchall()
    connection.close()
    return {table: sorted(map(repr, rows)) for table, rows in found.items()}  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", LOST)
def test_without_its_ledger_everything_stops_until_repair_makes_it_again_as_it_was(inbox: MakeInbox, how: str) -> None:
    visits = inbox(VISITS)
    landed_history(visits)
    before = known(visits), ids(visits), totals(visits), rows_of(visits).rows()
    LOST[how](visits.settings.lake_dir / "ledger.sqlite")
    for ask in (visits.land, lambda: ids(visits), lambda: totals(visits), lambda: ledger(visits).unreadable(VISITS)):
        with pytest.raises(Damaged, match=r"ledger\.sqlite .*analytics-assets repair"):
            ask()
    rebuilt = ledger(visits).rebuild()
    assert rebuilt is not None
    assert (rebuilt.contents, rebuilt.rows, rebuilt.gone) == (4, 3, [])
    assert (known(visits), ids(visits), totals(visits), rows_of(visits).rows()) == before
    report = visits.land()
    assert not report.landed, "nothing lands again"
    assert ledger(visits).rebuild() is None, "it is whole now"


def test_an_older_copy_of_the_ledger_is_not_taken_for_the_ledger(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + "1,2025-06-01 10:00:00,1.5,2,x\n")
    visits.land()
    file = visits.settings.lake_dir / "ledger.sqlite"
    shutil.copyfile(file, file.with_name("older"))
    visits.drop("b.csv", HEADER + "2,2025-06-02 10:00:00,1.5,2,x\n")
    visits.land()
    file.with_name("older").replace(file)
    with pytest.raises(Damaged, match="older than the landed pieces of visits"):
        visits.land()
    ledger(visits).rebuild()
    assert ids(visits) == ["1", "2"]


def test_a_journal_that_is_gone_or_cut_is_written_anew_from_the_ledger(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    landed_history(visits)
    journal = visits.settings.landed_dir / "visits" / "journal.jsonl"
    for damage in (lambda: journal.unlink(), lambda: journal.write_bytes(journal.read_bytes()[:-30])):
        damage()
        visits.drop("c.csv", f"{HEADER}5,2025-06-03 10:00:00,1.5,2,{damage}\n")
        visits.land()
        before = known(visits)
        (visits.settings.lake_dir / "ledger.sqlite").unlink()
        ledger(visits).rebuild()
        assert known(visits) == before


def test_pieces_that_no_journal_knows_are_named_and_nothing_is_made_without_them(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    landed_history(visits)
    (visits.settings.lake_dir / "ledger.sqlite").unlink()
    journal = visits.settings.landed_dir / "visits" / "journal.jsonl"
    whole = journal.read_bytes()
    for cut, match in (
        (b"", "knows nothing of 3 landed pieces"),
        (whole.partition(b"\n")[0] + b"\n", "knows nothing of 2 landed pieces"),
        (whole.replace(b"2025-06-01", b"2025-06-07", 1), "damaged in line"),
    ):
        journal.write_bytes(cut)
        with pytest.raises(Damaged):
            visits.land()
        with pytest.raises(Damaged, match=match):
            ledger(visits).rebuild()
    journal.unlink()
    with pytest.raises(Damaged, match="is gone"):
        visits.land()
    journal.write_bytes(whole + whole.partition(b"\n")[0][:20])  # a kill within a line
    ledger(visits).rebuild()
    assert ids(visits) == ["2", "4"]


def test_what_a_killed_first_landing_left_behind_is_no_lost_ledger(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + "1,2025-06-01 10:00:00,1.5,2,x\n")
    visits.land()
    file, journal = visits.settings.lake_dir / "ledger.sqlite", visits.settings.landed_dir / "visits" / "journal.jsonl"
    file.unlink()
    journal.unlink()
    mark = unfinished_mark(visits.settings.lake_dir, "visits")
    mark.touch()  # younger than the pieces: they are of a landing that came to its end
    with pytest.raises(Damaged):
        visits.land()
    os.utime(mark, (0, 0))  # as after a kill before anything was recorded
    visits.land()
    assert ids(visits) == ["1"]


def test_a_snapshot_is_repaired_with_its_days(inbox: MakeInbox) -> None:
    from dataclasses import replace

    companies = inbox(replace(VISITS, name="companies", kind=Kind.SNAPSHOT, time=None, primary_key=("id",)))
    companies.drop("visits-2025-06-02.csv", HEADER + "1,2025-06-01 10:00:00,1.5,2,x\n")
    companies.drop("visits.csv", HEADER + "1,2025-06-01 10:00:00,1.5,2,x\n")
    companies.land()
    before = known(companies), ledger(companies).pieces(companies.source, JUNE)
    (companies.settings.lake_dir / "ledger.sqlite").unlink()
    ledger(companies).rebuild()
    assert (known(companies), ledger(companies).pieces(companies.source, JUNE)) == before
    assert before[1][date(2025, 6, 1)] != before[1][date(2025, 6, 2)]


# ------------------------------------------------------------------------------------------------ a settled project


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A domain with its reports, made once, in a folder with a name of all that is odd; each test works on a copy."""
    project = Project(tmp_path_factory.mktemp("settled") / ODD, (CONSENT,), {"dagster_home": Path("/nowhere")})
    project.drop("consent_events", "events-1.csv", HEADER_OF_EVENTS + event("a", day(1)) + event("b", day(3)))
    project.drop("consent_events", "events-2.csv", HEADER_OF_EVENTS + event("c", day(3)))
    project.settle()
    return project


ODD = "it's [1] \\ %20 *{a} = ü"
"""The name of a folder, of characters that mean something to one reader or another."""


def made(project: Project) -> dict[str, set[date]]:
    """Settles; gives the days that were made, by asset."""
    outcome = project.settle().outcome
    assert not outcome.failures
    return {name: set(days) for name, days in outcome.made.items()}


def test_a_ledger_that_is_lost_and_repaired_leaves_nothing_out_of_date(settled: Project, tmp_path: Path) -> None:
    project = settled.copy_to(tmp_path / ODD, with_state=True)
    before = project.tables()
    (project.settings.lake_dir / "ledger.sqlite").unlink()
    graph = project.definitions.resolve_asset_graph()
    for ask in (
        lambda: project.settle(),
        lambda: reconcile(CONSENT.sources[0], project.declared, datetime.now(UTC)),
        lambda: check_health(graph, project.declared, project.instance, datetime.now(UTC)),
    ):
        with pytest.raises(Damaged, match="analytics-assets repair"):
            ask()
    with pytest.raises(Exception, match="conditions") as wrapped:
        project.requested()
    assert "analytics-assets repair" in str(damage_in(wrapped.value)), "the automation asks for nothing"
    Ledger(project.settings.lake_dir).rebuild()
    assert made(project) == {}
    assert project.tables() == before


def test_what_is_deleted_or_cut_short_is_made_again(settled: Project, tmp_path: Path) -> None:
    project = settled.copy_to(tmp_path / ODD, with_state=True)
    before, raw = project.tables(), project.settings.raw_dir / "raw_consent_events"
    shutil.rmtree(raw / f"_day={day(1)}")
    cut = raw / f"_day={day(3)}" / "data.parquet"
    cut.write_bytes(cut.read_bytes()[:-100])
    again = made(project)
    assert again["raw_consent_events"] == {day(1), day(3)}
    assert project.tables() == before

    shutil.rmtree(raw)
    export_of(project.settings, "consent_dashboard", day(3), "html").unlink()
    newest_export(project.settings, "consent_workbook", "xlsx").unlink()
    again = made(project)
    assert again["raw_consent_events"] == set(project.window.days())
    assert {again["consent_dashboard"].pop(), again["consent_workbook"].pop()} == {day(3)}
    assert newest_export(project.settings, "consent_workbook", "xlsx").exists()

    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        connection.execute("drop table staging.stg_consent_events")
    project.settings.published_file.unlink()
    again = made(project)
    assert again["stg_consent_events"] == again["published_consent"] == set(project.window.days())
    assert project.tables() == before
    assert made(project) == {}


def test_a_piece_with_a_flipped_bit_fails_its_day_by_name_and_no_other(settled: Project, tmp_path: Path) -> None:
    project = settled.copy_to(tmp_path / ODD, with_state=True)
    before = project.tables()
    pieces = Ledger(project.settings.lake_dir).pieces(CONSENT_EVENTS, project.window)
    piece = piece_file(project.settings, CONSENT_EVENTS, pieces[day(1)][0])
    whole = piece.read_bytes()
    piece.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    piece_file(project.settings, CONSENT_EVENTS, pieces[day(3)][0]).rename(tmp_path / "away")
    shutil.rmtree(project.settings.raw_dir)
    runner = project.runner()
    runner.settle(set(project.assets))
    assert all("damaged or gone: restore it from a backup" in said for said in runner.outcome.failures)
    attempts = Attempts(project.settings.lake_dir).read("raw_consent_events", project.window)
    assert attempts.keys() == {day(1), day(3)}
    assert str(piece) in attempts[day(1)].reason
    others = {where: rows for where, rows in before.items() if where[1] not in (day(1), day(3))}
    assert others.items() <= project.tables().items(), "the other days were made"
    piece.write_bytes(whole)
    (tmp_path / "away").rename(piece_file(project.settings, CONSENT_EVENTS, pieces[day(3)][0]))
    made(project)
    assert project.tables() == before


def test_a_data_folder_that_is_copied_or_moved_reads_its_own_days(settled: Project, tmp_path: Path) -> None:
    copy = settled.copy_to(tmp_path / ODD, with_state=True)
    raw = copy.settings.raw_dir / "raw_consent_events" / f"_day={day(1)}" / "data.parquet"
    pl.read_parquet(raw, glob=False).clear().write_parquet(raw)
    assert copy.frame("src_consent_events").height == settled.frame("src_consent_events").height - 1
    found = reconcile(CONSENT_EVENTS, copy.declared, datetime.now(UTC))
    assert (found.raw, found.src) == (2, 2)
    copy.folder.rename(tmp_path / "moved")
    moved = Project(tmp_path / "moved", copy.domains, copy.changes)
    assert moved.frame("src_consent_events").height == 2
    with duckdb.connect(str(moved.settings.warehouse_file), read_only=True) as connection:
        paths = connection.execute("select sql from duckdb_views() where sql like '%/_day%' or sql like '%tmp%'")
        assert paths.fetchall() == []
        with pytest.raises(duckdb.IOException, match="No files found"):
            connection.execute("select * from staging.src_consent_events")


def test_what_somebody_left_in_the_published_copy_s_log_is_not_taken_along(settled: Project, tmp_path: Path) -> None:
    project = settled.copy_to(tmp_path / ODD, with_state=True)
    file = project.settings.published_file
    write = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('set checkpoint_threshold = $$1TB$$');"
        "c.execute('delete from marts.mart_company_daily'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", write, str(file)], check=True)
    assert file.with_name(f"{file.name}.wal").exists()
    before = settled.tables()
    project.drop("consent_events", "events-3.csv", HEADER_OF_EVENTS + event("d", day(4)))
    made(project)
    published = {where: rows for where, rows in project.tables().items() if where[0] == "published_consent"}
    assert published[("published_consent", day(3))] == before[("published_consent", day(3))]
    assert not file.with_name(f"{file.name}.wal").exists()


def test_the_day_of_a_statement_is_the_utc_one(settled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        try:
            _, rows, _ = _query(settled.settings, "select current_date, current_setting('TimeZone')")
        finally:
            monkeypatch.undo()
            time.tzset()
        assert rows == [(datetime.now(UTC).date(), "UTC")]


@contextmanager
def not_to_be_written(folder: Path) -> Iterator[None]:
    """As somebody who may read a folder and not write it; root may write everything, and becomes somebody else."""
    files = (file for file in (folder, *folder.rglob("*")) if "inbox" not in file.parts)  # whose ctimes are looked at
    modes = {file: file.stat().st_mode for file in files}
    parents = {file: file.stat().st_mode for file in folder.parents if file.owner() == folder.owner()}
    user = os.geteuid()
    for file in modes:
        file.chmod(0o555 if file.is_dir() else 0o444)
    for file, mode in parents.items():
        file.chmod(mode | 0o011)
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if user == 0:
            os.seteuid(0)
        for file, mode in (modes | parents).items():
            file.chmod(mode)


def test_who_only_looks_needs_no_right_to_write_and_writes_nothing(settled: Project, tmp_path: Path) -> None:
    project = settled.copy_to(tmp_path / ODD, with_state=True)
    graph = project.definitions.resolve_asset_graph()

    def listing() -> dict[str, tuple[int, int]]:
        return {str(f): (f.stat().st_size, f.stat().st_mtime_ns) for f in project.folder.rglob("*") if f.is_file()}

    def look() -> None:
        found = check_health(graph, project.declared, project.instance, datetime.now(UTC))
        assert not [one for one in found.findings if one.state not in (State.CHECK_FAILED, State.WARNING)]
        assert not reconcile(CONSENT_EVENTS, project.declared, datetime.now(UTC)).faults
        assert _query(project.settings, "select 1")[1] == [(1,)]

    project.land()  # a copied file is another one, until it was looked at
    before = listing()
    look()
    assert listing() == before
    with not_to_be_written(project.folder):
        with pytest.raises(sqlite3.OperationalError, match=r"attempts\.sqlite"):
            Attempts(project.settings.lake_dir).wake(["raw_consent_events"])
        look()
    assert listing() == before


def test_a_locale_that_is_not_utf_8_stops_no_command(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ANALYTICS_", "PYTHON", "LC_"))}
    env |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "ANALYTICS_DATA_DIR": str(tmp_path / "é")}
    command = [sys.executable, "-m", "analytics_assets.cli", "reconcile"]
    done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=False)
    assert "nothing has landed yet" in " ".join(done.stdout.split()), done.stdout + done.stderr


DATABASE = "another database of SQLite"
DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "garbage": lambda file: file.write_bytes(b"\0\1garbage" * 900),
    "another format": lambda file: file.write_text("<html>a page</html>"),
    DATABASE: lambda file: (file.unlink(), _database(file, "create table notes (text)")),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}
STATE = {
    "lake/ledger.sqlite": "run `analytics-assets repair`",
    "lake/attempts.sqlite": "delete it",
    "lake/findings.sqlite": "delete it",
    "lake/raw/builds.sqlite": "delete it",
    "warehouse/builds.sqlite": "delete it",
    "published/builds.sqlite": "delete it",
    "exports/builds.sqlite": "delete it",
    "warehouse/analytics.duckdb": "delete it",
    "published/analytics.duckdb": "delete it",
}
"""Files of state, and what is said of one that is damaged; those that may be deleted may be empty."""


@pytest.mark.parametrize("name", STATE)
def test_a_file_of_state_that_is_damaged_is_named_with_what_to_do(settled: Project, tmp_path: Path, name: str) -> None:
    project = settled.copy_to(tmp_path / ODD, with_state=True)
    file = project.folder / name
    whole = file.read_bytes()
    graph = project.definitions.resolve_asset_graph()

    def status() -> None:
        check_health(graph, project.declared, project.instance, datetime.now(UTC))
        reconcile(CONSENT_EVENTS, project.declared, datetime.now(UTC))
        _query(project.settings, "select 1")

    for how, damage in DAMAGE.items():
        damage(file)
        said = ""
        try:
            status()
        except Damaged as error:
            said = str(error)
        except (NotMade, ValueError) as error:  # as if it had been deleted
            assert how == "empty", error
        if said:
            assert str(file) in said
            assert STATE[name] in said
        elif how != "empty":
            assert how == "cut short", f"{name}, {how}: nothing was said"
        shutil.rmtree(file) if file.is_dir() else file.unlink()
        file.write_bytes(whole)
    status()


@pytest.mark.parametrize("name", ["manifest.json", "partial_parse.msgpack", "manifest.fingerprint", "newest_parse"])
def test_what_dbt_parsed_is_parsed_again_when_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    settings, parses = test_settings(tmp_path / "data"), []
    folder = tmp_path / "target"
    monkeypatch.setattr(dbt, "_target_dir", lambda _: folder)

    def parse(_: object, project: Path, target: Path) -> Path:
        parses.append(project)
        target.mkdir(parents=True, exist_ok=True)
        for file in dbt._KEPT:
            (target / file).write_text("parsed")
        return target

    monkeypatch.setattr(dbt, "_parse", parse)
    for damage in (lambda file: None, *DAMAGE.values(), Path.unlink):
        if parses:
            kept = next(place for place in folder.glob("parses/*/") if place.name != "new")
            damage((kept if name in dbt._KEPT else folder) / name)
        assert prepare_manifest(settings).manifest == b"parsed"
        count = len(parses)
        prepare_manifest(settings)
        assert len(parses) == count, "and then no more"
    assert len(parses) == len(DAMAGE) + 2


@pytest.mark.parametrize("home", ["%20", "a?b", "new\nline"])
def test_a_folder_that_a_tool_cannot_work_in_is_refused_at_the_start(tmp_path: Path, home: str) -> None:
    with pytest.raises(ValidationError, match="choose another one"):
        test_settings(tmp_path, dagster_home=tmp_path / home)
    with pytest.raises(ValidationError, match="cannot hold , or \\?; choose another one"):
        test_settings(tmp_path / "a,b?")


def test_a_home_with_an_odd_name_works_and_may_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    odd = tmp_path / "it's [1] \\ *{a} = ü"
    prepare_dagster_home(test_settings(tmp_path, dagster_home=odd))
    with DagsterInstance.get() as instance:
        assert instance.get_runs_count() == 0
    (tmp_path / "deeper").mkdir()
    odd.rename(tmp_path / "deeper" / "home")
    home = prepare_dagster_home(test_settings(tmp_path, dagster_home=tmp_path / "deeper" / "home"))
    assert (home / "dagster.yaml").read_text()
