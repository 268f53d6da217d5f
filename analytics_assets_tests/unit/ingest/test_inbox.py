"""What lies in the inbox, what of it is new, and that nothing else is read."""

import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from dagster import DagsterInstance, SensorResult, build_sensor_context
from typer.testing import CliRunner

from analytics_assets.cli.app import app
from analytics_assets.ingest import landing as landing_module
from analytics_assets.ingest.inbox import Look, Mark, unexpected_files
from analytics_assets.ingest.landing import Landing
from analytics_assets.ingest.new_files_sensor import build_new_files_sensor
from analytics_assets.partitions import PartitionOffsets, Window
from analytics_assets.settings import get_settings
from analytics_assets.spec.source import Source
from analytics_assets.state.ledger import Ledger, Totals
from analytics_assets_tests.support.inbox import Inbox, declared
from analytics_assets_tests.support.project import test_settings
from analytics_assets_tests.support.visits import HEADER, SHOPS, VISITS, MakeInbox, ids, rows_of, totals, visit

NOBODY = 65534


def mark_of(inbox: Inbox) -> Mark:
    """Where the next look may begin, once everything has landed; the clock's steps are a second behind us."""
    mark = Landing(inbox.settings, inbox.source).look().mark
    assert mark is not None
    return Mark(**{**mark.__dict__, "looked_ns": time.time_ns()})


def look_since(inbox: Inbox, mark: Mark) -> Look:
    return Landing(inbox.settings, inbox.source).look(mark)


# ------------------------------------------------------------------------------------------------ what is new


@pytest.mark.parametrize("how", ["over the old one", "in the place of the old one"])
def test_other_bytes_land_though_their_size_and_time_are_those_of_the_old_ones(inbox: MakeInbox, how: str) -> None:
    visits = inbox(VISITS)
    file = visits.drop("a.csv", HEADER + visit("1", amount=100))
    old = file.stat()
    visits.land()
    if how == "in the place of the old one":
        visits.drop("b", HEADER + visit("1", amount=900)).replace(file)
    else:
        visits.drop("a.csv", HEADER + visit("1", amount=900))
    os.utime(file, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (old.st_size, old.st_mtime_ns)
    visits.land()
    assert rows_of(visits)["amount"].to_list() == [900]


def test_a_restored_inbox_is_read_again_and_nothing_of_it_lands_twice(inbox: MakeInbox) -> None:
    visits, shops = inbox(VISITS), inbox(SHOPS)
    visits.drop("a.csv", HEADER + visit("1"))
    shops.drop("shops-2025-06-10.csv", "id,city\n1,Rome\n")
    for one in (visits, shops):
        one.land()
        before = totals(one)
        for file in (one.settings.inbox_dir / one.source.name).iterdir():
            content, times = file.read_bytes(), file.stat()
            file.unlink()
            file.write_bytes(content)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        report = one.land()
        assert (len(report.known), report.landed) == (1, {})
        assert totals(one) == before
        assert one.land().known == []


def test_a_ledger_of_an_earlier_version_is_read_on(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + visit("1"))
    visits.land()
    with sqlite3.connect(visits.settings.lake_dir / "ledger.sqlite") as connection:
        connection.executescript(
            "alter table paths drop column ctime_ns; alter table paths drop column inode; pragma user_version = 1"
        )
    assert visits.land().known == ["a.csv"]  # once: what it was is not known
    assert visits.land().known == []
    assert ids(visits) == ["1"]


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of somebody who is not root, whom permissions do not stop."""
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() != 0:
            yield Path(folder)
            return
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


def test_a_file_and_a_folder_that_may_not_be_read_are_named_and_land_once_they_may(unprivileged: Path) -> None:
    visits = Inbox(test_settings(unprivileged / "data"), VISITS)
    file = visits.drop("a.csv", HEADER + visit("1"))
    folder = visits.drop("closed/b.csv", HEADER + visit("2")).parent
    searched = visits.drop("listed/c.csv", HEADER + visit("3")).parent
    visits.drop("good.csv", HEADER + visit("4"))
    file.chmod(0), folder.chmod(0), searched.chmod(0o444)
    report = visits.land()
    assert ids(visits) == ["4"]
    assert report.unreadable == {"a.csv": "it cannot be opened (Permission denied)"}
    assert set(report.closed) == {"closed", "listed"}
    assert "(Permission denied)" in report.closed["closed"]
    assert visits.land().unreadable == {}  # nothing has changed
    file.chmod(0o600), folder.chmod(0o700), searched.chmod(0o700)
    assert visits.land().closed == {}
    assert ids(visits) == ["1", "2", "3", "4"]


def test_a_clock_that_was_ahead_and_is_set_right_hides_nothing(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + visit("1"))
    visits.land()
    month = 30 * 86_400 * 10**9
    mark = mark_of(visits)
    ahead = Mark(mark.looked_ns + month, mark.full_ns + month, mark.version, mark.known, mark.clock_ns + month)
    behind = Mark(mark.looked_ns, mark.full_ns, mark.version, mark.known, mark.clock_ns + 10 * 10**9)
    visits.drop("b.csv", HEADER + visit("2"))
    for since in (ahead, behind):
        assert [file.path for file in look_since(visits, since).new] == ["b.csv"]


def test_a_folder_within_a_folder_that_is_moved_in_is_seen_at_the_next_look(inbox: MakeInbox, tmp_path: Path) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + visit("1"))
    visits.land()
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "outer" / "inner" / "b.csv").write_text(HEADER + visit("2"))
    time.sleep(0.05)  # the kernel's clock for files goes in steps
    mark = mark_of(visits)
    time.sleep(0.05)
    assert look_since(visits, mark).new == []
    (tmp_path / "outer").rename(visits.settings.inbox_dir / "visits" / "outer")
    assert [file.path for file in look_since(visits, mark).new] == ["outer/inner/b.csv"]


# ------------------------------------------------------------------------------------------------------ links


def test_a_source_s_folder_that_is_a_link_is_named_or_followed_where_the_settings_say_so(
    inbox: MakeInbox, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.csv").write_text(HEADER + visit("1"))
    (elsewhere / "b.csv").symlink_to(elsewhere / "a.csv")
    visits = inbox(VISITS)
    visits.settings.inbox_dir.mkdir(parents=True)
    (visits.settings.inbox_dir / "visits").symlink_to(elsewhere)
    assert "ANALYTICS_FOLLOW_INBOX_LINKS" in visits.land().closed["inbox/visits"]
    assert ids(visits) == []
    following = inbox(VISITS, follow_inbox_links=True)
    report = following.land()
    assert (list(report.landed), set(report.ignored), report.closed) == (["a.csv"], {"b.csv"}, {})
    (elsewhere / "a.csv").unlink(), (elsewhere / "b.csv").unlink(), elsewhere.rmdir()
    assert following.land().closed == {"inbox/visits": "it is a link to what is not there"}


def swap(name: Path, target: Path) -> None:
    """Puts a link in the place of a file or a folder."""
    name.rename(name.with_name("taken away"))
    name.symlink_to(target)


@pytest.mark.parametrize("part", ["a.csv", "sub"])
@pytest.mark.parametrize("moment", ["look", "file_digest"])
def test_a_name_that_becomes_a_link_between_the_look_and_the_read_is_not_followed(
    inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, part: str, moment: str
) -> None:
    secret = tmp_path / "secret"
    (secret / "sub").mkdir(parents=True)
    visits = inbox(VISITS)
    path = "a.csv" if part == "a.csv" else "sub/a.csv"
    visits.drop(path, HEADER + visit("mine"))
    (secret / path).write_text(HEADER + visit("them"))
    place: object = landing_module if moment == "look" else landing_module.hashlib
    real: Callable = getattr(place, moment)

    def and_then_it_is_a_link(*arguments: object, **named: object) -> object:
        found = real(*arguments, **named)
        monkeypatch.setattr(place, moment, real)
        swap(visits.settings.inbox_dir / "visits" / part, secret / part)
        return found

    monkeypatch.setattr(place, moment, and_then_it_is_a_link)
    assert visits.land().unsettled == [path]
    assert totals(visits).accepted == 0
    pieces = (visits.settings.landed_dir / "visits").rglob("*.parquet")
    assert not any(b"them" in piece.read_bytes() for piece in pieces)
    assert set(visits.land().ignored) >= {part}


# ---------------------------------------------------------------------------------------------- names and folders


def test_names_of_files_and_folders_that_cannot_be_shown_are_named_in_one_line_of_what_can(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    names = ["new\nline.csv", "esc\x1b[31m.csv", "turned\u202e.csv", "in\ra/folder.csv", os.fsdecode(b"\xff.csv")]
    for name in names:
        visits.drop(name, HEADER + visit("1"))
    (visits.settings.inbox_dir / "line\nfeed").mkdir()
    ignored = visits.land().ignored
    assert set(ignored) == {
        "new\\nline.csv",
        "esc\\x1b[31m.csv",
        "turned\\u202e.csv",
        "in\\ra/folder.csv",
        "\\udcff.csv",
    }
    (unexpected,) = unexpected_files(visits.settings.inbox_dir, [VISITS])
    assert unexpected.startswith("line\\nfeed in the inbox")


def test_folders_too_deep_to_be_opened_are_named_and_hold_nothing_up(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    here = os.open(visits.drop("good.csv", HEADER + visit("1")).parent, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("x" * 250, dir_fd=here)
        outer, here = here, os.open("x" * 250, os.O_RDONLY, dir_fd=here)
        os.close(outer)
    os.close(here)
    report = visits.land()
    assert ids(visits) == ["1"]
    assert ["File name too long" in why for why in report.closed.values()] == [True]


# ------------------------------------------------------------------------- files whose reading ends the process


@pytest.mark.parametrize("held", ["", "half", "[1, 2]", '{"a.csv": 3}', '{"a.csv": ["x", "y", "z"]}', "\0\0"])
def test_a_damaged_record_of_what_was_being_read_blames_no_file(inbox: MakeInbox, held: str) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + visit("1"))
    record = visits.settings.lake_dir / ".landing-visits.reading"
    record.parent.mkdir(parents=True)
    record.write_text(held)
    assert list(visits.land().landed) == ["a.csv"]


def test_an_interruption_is_no_fault_of_the_file_that_was_being_read(
    inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + visit("1"))
    for _ in range(3):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(landing_module, "read_batches", interrupted)
            visits.land()
    assert list(visits.land().landed) == ["a.csv"]


def interrupted(path: Path, source: Source) -> object:
    raise KeyboardInterrupt


# ----------------------------------------------------------------------------------------------------- the sensor


def tick(*inboxes: Inbox, cursor: str | None = None) -> SensorResult:
    sensor = build_new_files_sensor(declared(*inboxes))
    result = sensor(build_sensor_context(instance=DagsterInstance.ephemeral(), cursor=cursor))
    assert isinstance(result, SensorResult)
    return result


def test_the_error_of_one_source_does_not_stop_the_sensor_of_the_others(
    inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits, shops = inbox(VISITS), inbox(SHOPS)
    real = Landing.look

    def look(self: Landing, *arguments: object) -> Look:
        if self._source is VISITS:
            raise ValueError("something nobody thought of")
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Landing, "look", look)
    shops.drop("shops-2025-06-10.csv", "id,city\n1,Rome\n")
    result = tick(visits, shops)
    assert [request.tags["analytics/landing"] for request in result.run_requests or []] == ["shops"]
    shops.land()
    with pytest.raises(ExceptionGroup, match="could not be looked at"):  # seen in the UI, once nothing is held up
        tick(visits, shops, cursor=result.cursor)


def test_a_changed_file_of_equal_size_and_time_is_another_request(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    file = visits.drop("a.csv", HEADER + visit("1", amount=100))
    times = file.stat()
    (first,) = tick(visits).run_requests or []
    visits.drop("a.csv", HEADER + visit("1", amount=900))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    (second,) = tick(visits).run_requests or []
    assert first.run_key != second.run_key


def test_a_cursor_of_an_earlier_version_is_read(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    mark = mark_of(visits).__dict__
    del mark["clock_ns"]
    visits.drop("a.csv", HEADER + visit("1"))
    assert tick(visits, cursor=json.dumps({"visits": mark})).run_requests


@pytest.mark.parametrize("cursor", ["half a cur", "[1]", '{"visits": 1}', '{"visits": {"from": "tomorrow"}}'])
def test_a_cursor_that_says_nothing_hides_no_file(inbox: MakeInbox, cursor: str) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + visit("1"))
    assert tick(visits, cursor=cursor).run_requests


# ------------------------------------------------------------------------------------------ a snapshot's day


@pytest.mark.parametrize(
    ("path", "day"),
    [
        ("shops-2026-01-05.csv", "2026-01-05"),
        ("shops20260105.csv", "2026-01-05"),
        ("shops_2026_01_05_1767607200000_0.csv", "2026-01-05"),
        ("shops-2026.01.05.csv", "2026-01-05"),
        ("shops-20260105061500.csv", "2026-01-05"),
        ("shops-202601050615.csv", "2026-01-05"),
        ("shops-2026010506.csv", "2026-01-05"),
        ("shops-20260105061500123456.csv", "2026-01-05"),
        ("20260105T061500Z_shops.csv", "2026-01-05"),
        ("2026-01-05_shops_2026-01-05T06-15.csv", "2026-01-05"),
        ("shops-2026-01-05-12345678.csv", "2026-01-05"),
        ("date=2026-01-05/part-0.csv", "2026-01-05"),
        ("date=2026-01-05/part-00000-20260109-1111-4222-8333-444455556666.c000.csv", "2026-01-05"),
        ("2026/01/05/shops.csv", "2026-01-05"),
        ("year=2026/month=01/day=05/hour=06/0.csv", "2026-01-05"),
        ("20260105061500/shops.csv", "2026-01-05"),
        ("exported-2026-02-01/date=2026-01-05/0.csv", "2026-01-05"),
        ("exported-2026-02-01/shops-2026-01-05.csv", "2026-01-05"),
        ("shops.csv", "0001-01-01"),
        ("shops-v1.2.10.csv", "0001-01-01"),
        ("shops-1767607200000.csv", "0001-01-01"),
        ("shops-000101.csv", "0001-01-01"),
        ("part-00000-12345678-2026-4222-8333-444455556666.csv", "0001-01-01"),
    ],
)
def test_the_day_of_a_snapshot_is_read_as_programs_write_it(path: str, day: str) -> None:
    assert str(SHOPS.day_in_path(path)) == day


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("shops-05-01-2026.csv", "'05-01-2026'"),
        ("shops-5.1.2026.csv", "'5.1.2026'"),
        ("shops-05-01-26.csv", "'05-01-26'"),
        ("shops-05012026.csv", "'05012026'"),
        ("shops-260105.csv", "'260105'"),
        ("shops-310126.csv", "'310126'"),
        ("shops-2026005.csv", "'2026005'"),
        ("shops-2026-1-5.csv", "'2026-1-5'"),
        ("shops-2026-01.csv", "'2026-01'"),
        ("shops-202601.csv", "'202601'"),
        ("shops-2026-W02.csv", "'2026-W02'"),
        ("shops-5Jan2026.csv", "'2026'"),
        ("shops-2026-02-30.csv", "'2026-02-30'"),
        ("shops-9999-12-31.csv", "'9999-12-31'"),
        ("shops-0001-01-01.csv", "'0001-01-01'"),
        ("year=2026/month=1/day=5/0.csv", "'2026'"),
        ("shops-2026-01-05-to-2026-01-31.csv", "2026-01-05 and 2026-01-31"),
    ],
)
def test_a_snapshot_whose_day_is_not_understood_is_refused_by_name_and_the_others_land(
    inbox: MakeInbox, path: str, said: str
) -> None:
    shops = inbox(SHOPS)
    shops.drop(path, "id,city\n1,Rome\n")
    shops.drop("shops-2025-06-10.csv", "id,city\n2,Pisa\n")
    why = shops.land().unreadable[path]
    assert said in why
    assert why.endswith("as 2026-01-05")
    assert ids(shops) == ["2"] * 30


def cities(inbox: Inbox, *days: int) -> list[list[str]]:
    """What is in force on some days of June."""
    rows = rows_of(inbox).select("_day", "city").rows()
    return [sorted(city for day, city in rows if day.day == number) for number in days]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("shops-2025-06-10.csv", "shops-2025-06-10 (corrected).csv"),
        ("shops-2025-06-10.csv", "shops_20250610.csv"),
        ("shops.csv", "all-shops.csv"),
        ("date=2025-06-10/part-0.csv", "date=2025-06-10/corrected.csv"),
    ],
)
def test_of_two_snapshots_of_one_day_the_one_dropped_last_is_the_whole_truth_and_the_other_is_told(
    inbox: MakeInbox, old: str, new: str
) -> None:
    shops = inbox(SHOPS)
    shops.drop(old, "id,city\n1,Rome\n2,Oslo\n")
    shops.land()
    file = shops.drop(new, "id,city\n1,Pisa\n")
    os.utime(file, ns=(1, 1))  # it was written before
    shops.land()
    assert cities(shops, 10, 30) == [["Pisa"], ["Pisa"]]
    assert totals(shops) == Totals(accepted=3, in_days=1, waiting=0, superseded=2, rejected=0)
    ledger = Ledger(shops.settings.lake_dir)
    assert list(ledger.replaced_snapshots(SHOPS).values()) == [(new, [old])]
    shops.drop(old, "id,city\n1,Bonn\n")  # dropped once more, it is the newer one
    shops.land()
    assert cities(shops, 10, 30) == [["Bonn"], ["Bonn"]]
    shops.drop(new, "id,city\n1,Pisa\n")  # but bytes that were there all the time are no news
    shops.land()
    assert cities(shops, 10) == [["Bonn"]]


def test_numbered_files_of_one_dated_folder_are_one_snapshot(inbox: MakeInbox) -> None:
    shops = inbox(SHOPS)
    for n, city in enumerate(("Rome", "Oslo")):
        shops.drop(f"date=2025-06-05/part-{n}.csv", f"id,city\n{n},{city}\n")
        shops.drop(f"date=2025-06-10/part-0000{n}.csv", f"id,city\n{n},New {city}\n")
    shops.land()
    assert cities(shops, 4, 6, 12) == [["Oslo", "Rome"], ["Oslo", "Rome"], ["New Oslo", "New Rome"]]
    assert Ledger(shops.settings.lake_dir).replaced_snapshots(SHOPS) == {}


@pytest.mark.parametrize("setting", ["START_DATE", "END_DATE"])
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_setting_at_the_edge_of_what_a_date_can_be_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str, day: str
) -> None:
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv(f"ANALYTICS_{setting}", day)
    get_settings.cache_clear()
    result = CliRunner().invoke(app, ["sql", "select 1"])
    get_settings.cache_clear()
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert f"ANALYTICS_{setting}" in said and f"{day} is not within 1900 to 2199" in said


def test_windows_are_counted_to_the_last_day_that_can_be() -> None:
    assert len(Window.of_days(date(2199, 12, 30), date(2199, 12, 31))) == 2
    far = PartitionOffsets(-400 * 365, 400 * 365)
    assert far.upstream_of(Window.of_days(date(1900, 1, 1), date(2199, 12, 31))).start.year == 1500
