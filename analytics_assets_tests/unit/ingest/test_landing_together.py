"""Small files are read first and then land together: nothing may tell that from landing each by itself."""

import errno
import gzip
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from analytics_assets.ingest import landing as landing_module
from analytics_assets.ingest.landing import LandingReport
from analytics_assets.ingest.records import Batch, UnreadableFile
from analytics_assets.partitions import Window
from analytics_assets.spec.source import REPEAT, Kind, Source
from analytics_assets.state.ledger import Ledger
from analytics_assets_tests.support.inbox import Inbox
from analytics_assets_tests.support.project import test_settings
from analytics_assets_tests.support.visits import HEADER, SHOPS, VISITS, MakeInbox, ids, rows_of, visit

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "", " 3"]),
        st.sampled_from(["2025-06-01 10:00:00", "2025-06-02T00:30:00+02:00", "2025-06-03", "never", ""]),
        st.sampled_from(["1", "0.5", "1e3", "inf", "x", ""]),
        st.sampled_from(["1", "-1", "12.0", "x", ""]),
        st.sampled_from(["", "a note", 'a "quote"', "two\nlines", "é"]),
    ),
    max_size=4,
)
NAMES = ["id", "at", "amount", "n", "note"]


def csv_of(rows: list[tuple[str, ...]], more: str) -> bytes:
    text = io.StringIO()
    text.write(",".join(NAMES) + (",more" if more else "") + "\n")
    for row in rows:
        quoted = ['"' + cell.replace('"', '""') + '"' if cell else "" for cell in row]
        text.write(",".join([*quoted, *([more] if more else [])]) + "\n")
    return text.getvalue().encode()


def json_lines_of(rows: list[tuple[str, ...]], more: str) -> bytes:
    extra = {"more": more} if more else {}
    return "".join(json.dumps(dict(zip(NAMES, row, strict=True)) | extra) + "\n" for row in rows).encode()


def parquet_of(rows: list[tuple[str, ...]], more: str) -> bytes:
    bytes_ = io.BytesIO()
    columns = {name: [row[at] or None for row in rows] for at, name in enumerate(NAMES)}
    if more:
        columns["more"] = [more] * len(rows)
    pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)).write_parquet(bytes_)
    return bytes_.getvalue()


def gzipped(write: Callable[[list[tuple[str, ...]], str], bytes]) -> Callable[[list[tuple[str, ...]], str], bytes]:
    return lambda rows, more: gzip.compress(write(rows, more), mtime=0)


WRITERS = {
    "csv": csv_of,
    "csv.gz": gzipped(csv_of),
    "jsonl": json_lines_of,
    "jsonl.gz": gzipped(json_lines_of),
    "parquet": parquet_of,
}
BROKEN = [b"", b"id,at\n1,2\n", b"\xff\xfe\x00", b"1,2025-06-01 10:00:00,1\n", b'"open\n']
FILES = st.lists(
    st.tuples(
        st.sampled_from(sorted(WRITERS)), ROWS, st.sampled_from(["", "", "new"]), st.sampled_from([*BROKEN, b""])
    ),
    min_size=2,
    max_size=8,
)
ALL_DAYS = Window(date(2025, 6, 1), datetime.now(UTC).date() + timedelta(days=2))
KINDS = {
    "facts": VISITS,
    "rows without an id": replace(VISITS, primary_key=("id", "at", REPEAT)),
    "deliveries": replace(VISITS, kind=Kind.DELIVERY, time=None),
}


@pytest.mark.parametrize("source", KINDS.values(), ids=KINDS)
@settings(deadline=None)
@given(files=FILES)
def test_files_land_together_as_each_by_itself(
    tmp_path_factory: pytest.TempPathFactory, source: Source, files: list[tuple[str, list[tuple[str, ...]], str, bytes]]
) -> None:
    found = []
    for at_once in (1, 100):
        inbox = Inbox(test_settings(tmp_path_factory.mktemp("data"), landing_files_per_run=at_once), source)
        for number, (ending, rows, more, broken) in enumerate(files):
            text = WRITERS[ending](rows, more)
            inbox.drop(f"{number}.{ending}", text + broken if ending in ("csv", "jsonl") else text)
        reports = [inbox.land()]
        while reports[-1].remaining:
            reports.append(inbox.land())
        found.append((reports, rows_of(inbox, ALL_DAYS), inbox.rejects()))
    (alone, rows_alone, rejects_alone), (together, rows_together, rejects_together) = found
    assert outcome(alone) == outcome(together)
    by = ["_source_file", "_source_row"]
    assert_frame_equal(rows_alone.drop("_landed_at").sort(by), rows_together.drop("_landed_at").sort(by))
    assert rejects_alone.columns == rejects_together.columns
    if rejects_alone.columns:
        assert_frame_equal(rejects_alone.sort("file", "row"), rejects_together.sort("file", "row"))
    assert order_of_landing(rows_alone) == order_of_landing(rows_together)


def outcome(reports: list[LandingReport]) -> dict[str, object]:
    """What some landings report, by file; contents without the time when they landed."""
    landed = {path: content for report in reports for path, content in report.landed.items()}
    return {
        "landed": {
            path: (
                *(content.identity, content.hash, content.rejected, content.unknown_columns, content.swallowed),
                sorted((piece.day, piece.rows) for piece in content.pieces),
            )
            for path, content in landed.items()
        },
        "known": sorted(path for report in reports for path in report.known),
        "unreadable": {path: why for report in reports for path, why in report.unreadable.items()},
    }


def order_of_landing(rows: pl.DataFrame) -> list[str]:
    return rows.group_by("_source_file").agg(pl.col("_landed_at").min()).sort("_landed_at")["_source_file"].to_list()


def test_equal_bytes_that_come_together_are_one_file(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    for name in ("a.csv", "b.csv"):
        visits.drop(name, HEADER + visit("1"))
    report = visits.land()
    assert (list(report.landed), report.known) == (["a.csv"], ["b.csv"])
    assert ids(visits) == ["1"]


def test_snapshots_that_come_together_hold_each_on_its_day(inbox: MakeInbox) -> None:
    shops = inbox(SHOPS)
    for day in (1, 2, 3):
        shops.drop(f"shops-2025-06-0{day}.csv", "id,city\n" + ("" if day == 2 else f"{day},Ghent\n"))
    shops.land()
    held = rows_of(shops).filter(pl.col("_day") < date(2025, 6, 4)).sort("_day")
    assert held.select("_day", "id").rows() == [(date(2025, 6, 1), "1"), (date(2025, 6, 3), "3")]


def test_a_file_whose_rows_cannot_be_typed_holds_no_other_up(inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    real = landing_module.parse_batch

    def parse_batch(batch: Batch, source: Source, file: str | pl.Series, landed_at: datetime | pl.Series) -> object:
        if "bad" in batch.frame["id"]:
            raise UnreadableFile("its rows cannot be read")
        return real(batch, source, file, landed_at)

    monkeypatch.setattr(landing_module, "parse_batch", parse_batch)
    visits = inbox(VISITS)
    for name in ("1", "bad", "3"):
        visits.drop(f"{name}.csv", HEADER + visit(name))
    report = visits.land()
    assert sorted(report.landed) == ["1.csv", "3.csv"]
    assert report.unreadable == {"bad.csv": "its rows cannot be read"}
    assert ids(visits) == ["1", "3"]


def test_a_file_that_changes_while_others_are_read_waits(inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    real = landing_module.read_batches
    visits = inbox(VISITS)
    first = visits.drop("1.csv", HEADER + visit("1"))
    visits.drop("2.csv", HEADER + visit("2"))

    def read_batches(path: Path, source: Source) -> object:
        if visit("2") in path.read_text():
            first.write_text(HEADER + visit("1") + visit("new"))
        return real(path, source)

    monkeypatch.setattr(landing_module, "read_batches", read_batches)
    report = visits.land()
    assert (list(report.landed), report.unsettled) == (["2.csv"], ["1.csv"])
    monkeypatch.undo()
    visits.land()
    assert ids(visits) == ["1", "2", "new"]


def test_a_large_file_among_small_ones_lands_in_its_turn(inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics_assets.ingest.csv_files.BYTES_PER_BATCH", 1_000)
    visits = inbox(VISITS)
    visits.drop("1.csv", HEADER + visit("a"))
    visits.drop("2.csv", HEADER + "".join(visit(str(n)) for n in range(500)))
    visits.drop("3.csv", HEADER + visit("z"))
    assert list(visits.land().landed) == ["1.csv", "2.csv", "3.csv"]
    assert order_of_landing(rows_of(visits)) == ["1.csv", "2.csv", "3.csv"]
    assert rows_of(visits).height == 502


class Killed(BaseException):
    """What a kill looks like from inside: no `except Exception` sees it."""


def killed_at_the_record(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lands, and is killed before the first files are recorded: the note stays as a killed process leaves it."""

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "record", kill)
        patched.setattr(landing_module._Suspects, "noted", started_and_never_ended)
        with pytest.raises(Killed):
            inbox.land()


@contextmanager
def started_and_never_ended(suspects: landing_module._Suspects) -> Iterator[None]:
    suspects._write()
    yield


def test_after_a_kill_among_many_files_they_land_in_their_order_and_none_is_blamed(
    inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing_module, "_FILES_TOGETHER", 2)
    shops = inbox(SHOPS)
    for number, name in enumerate(("a", "b", "c", "d")):
        file = shops.drop(f"shops-2025-06-01-{name}.csv", f"id,city\n1,{name}\n")
        os.utime(file, ns=(number, number))
    killed_at_the_record(shops, monkeypatch)
    report = shops.land()
    assert [path[-5] for path in report.landed] == ["a", "b", "c", "d"]
    assert report.unreadable == {}
    held = rows_of(shops).filter(pl.col("_day") == date(2025, 6, 1))
    assert held["city"].to_list() == ["d"], "the last one that was dropped"
    assert not list(shops.settings.lake_dir.glob(".landing-*.reading"))


def test_two_kills_that_one_file_may_not_have_caused_refuse_none(
    inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits = inbox(VISITS)
    for name in ("1", "2", "3"):
        visits.drop(f"{name}.csv", HEADER + visit(name))
    for _ in range(2):  # among all three, and at the first by itself
        killed_at_the_record(visits, monkeypatch)
    report = visits.land()
    assert sorted(report.landed) == ["1.csv", "2.csv", "3.csv"]
    assert report.unreadable == {}


def test_a_disk_that_cannot_be_read_holds_up_nothing_that_was_read_before(
    inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = landing_module.read_batches

    def read_batches(path: Path, source: Source) -> object:
        if visit("3") in path.read_text():
            raise OSError(errno.EIO, "Input/output error")
        return real(path, source)

    monkeypatch.setattr(landing_module, "read_batches", read_batches)
    visits = inbox(VISITS)
    for name in ("1", "2", "3", "4"):
        visits.drop(f"{name}.csv", HEADER + visit(name))
    with pytest.raises(OSError, match="Input/output"):
        visits.land()
    assert ids(visits) == ["1", "2"]
    monkeypatch.undo()
    assert list(visits.land().landed) == ["3.csv", "4.csv"]


def test_what_a_failed_write_of_many_files_left_is_swept_and_hinders_no_repair(
    inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = landing_module.Landing._write_pieces

    def write_pieces(landing: landing_module.Landing, frames: list[pl.DataFrame], contents: dict) -> None:
        real(landing, frames, contents)
        if len(contents) > 1:
            raise pl.exceptions.ComputeError("what only many files at once cause")

    monkeypatch.setattr(landing_module.Landing, "_write_pieces", write_pieces)
    visits = inbox(VISITS)
    for name in ("1", "2", "3"):
        visits.drop(f"{name}.csv", HEADER + visit(name))
    assert len(visits.land().landed) == 3
    (visits.settings.lake_dir / "ledger.sqlite").unlink()
    rebuilt = Ledger(visits.settings.lake_dir).rebuild()
    assert rebuilt is not None
    assert rebuilt.contents == 3
    visits.land()
    assert len(list((visits.settings.landed_dir / "visits").glob("*/*.parquet"))) == 3
    assert ids(visits) == ["1", "2", "3"]


def test_bytes_whose_first_file_changes_land_under_the_other_one(
    inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = landing_module.Landing._write
    visits = inbox(VISITS)
    first = visits.drop("a.csv", HEADER + visit("1"))
    visits.drop("b.csv", HEADER + visit("1"))

    def write(landing: landing_module.Landing, reads: list) -> object:
        if len(reads) and reads[0].file.path == "a.csv":
            first.write_text(HEADER + visit("new"))
        return real(landing, reads)

    monkeypatch.setattr(landing_module.Landing, "_write", write)
    report = visits.land()
    assert (list(report.landed), report.known, report.unsettled) == (["b.csv"], [], ["a.csv"])
    monkeypatch.undo()
    visits.land()
    assert ids(visits) == ["1", "new"]
