import gzip
import os
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from analytics_assets.ingest import landing as landing_module
from analytics_assets.partitions import Window
from analytics_assets.spec.source import UNDATED, Source
from analytics_assets.state.ledger import Ledger, Totals
from analytics_assets_tests.support.inbox import Inbox
from analytics_assets_tests.support.visits import HEADER, JUNE, SHOPS, VISITS, MakeInbox, ids, rows_of, totals

# -------------------------------------------------------------------------------------------------------- formats


def test_a_csv_with_a_byte_order_mark_and_line_breaks_in_quotes_is_read(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    row_text = '1,2025-06-01 10:00:00.5,1.5,2,"two\nlines, ""quoted"""\r\n'
    visits.drop("a.csv", "\ufeffid,at,amount,n,note\r\n" + row_text)
    visits.land()
    row = rows_of(visits).row(0, named=True)
    assert row["id"] == "1"
    assert row["note"] == 'two\nlines, "quoted"'
    assert row["at"] == datetime(2025, 6, 1, 10, 0, 0, 500_000)
    assert (row["_source_file"], row["_source_row"]) == ("a.csv", 1)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.jsonl", "a.jsonl.gz"])
def test_the_same_rows_land_alike_from_every_format(inbox: MakeInbox, name: str) -> None:
    visits = inbox(VISITS)
    csv = HEADER + "1,2025-06-01 10:00:00,1.5,2,x\n2,2025-06-02 1:04:05,-0.25,0,\n"
    lines = (
        '{"id": "1", "at": "2025-06-01 10:00:00", "amount": 1.5, "n": 2, "note": "x"}\n'
        '{"id": "2", "at": "2025-06-02T01:04:05Z", "amount": "-0.25", "n": 0, "note": null}\n'
    )
    parquet = Path(visits.settings.data_dir.parent / "x.parquet")
    pl.DataFrame(
        {
            "id": ["1", "2"],
            "at": [datetime(2025, 6, 1, 10), datetime(2025, 6, 2, 1, 4, 5)],
            "amount": [1.5, -0.25],
            "n": [2.0, 0.0],
            "note": ["x", None],
        }
    ).write_parquet(parquet)
    content: bytes = {"csv": csv.encode(), "jsonl": lines.encode(), "parquet": parquet.read_bytes()}[name.split(".")[1]]
    visits.drop(name, gzip.compress(content) if name.endswith(".gz") else content)
    report = visits.land()
    assert report.landed[name].rejected_rows == 0
    landed = rows_of(visits).sort("id").select("id", "at", "amount", "n", "note").rows()
    assert landed == [
        ("1", datetime(2025, 6, 1, 10), 1.5, 2, "x"),
        ("2", datetime(2025, 6, 2, 1, 4, 5), -0.25, 0, None),
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2025-06-01 1:02:03", datetime(2025, 6, 1, 1, 2, 3)),
        ("2025-06-01 01:02:03.004", datetime(2025, 6, 1, 1, 2, 3, 4000)),
        ("2025-06-01T01:02:03.000004", datetime(2025, 6, 1, 1, 2, 3, 4)),
        ("2025-06-01 01:02", datetime(2025, 6, 1, 1, 2)),
        ("2025-06-01T01:02:03Z", datetime(2025, 6, 1, 1, 2, 3)),
        ("2025-06-02 00:30:00+02:00", datetime(2025, 6, 1, 22, 30)),
        (" 2025-06-01 01:02:03 ", datetime(2025, 6, 1, 1, 2, 3)),
    ],
)
def test_times_are_read_as_people_and_programs_write_them(inbox: MakeInbox, written: str, meant: datetime) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + f"1,{written},1,1,\n")
    visits.land()
    assert rows_of(visits)["at"].to_list() == [meant]


def test_times_without_an_offset_are_of_the_source_s_zone_and_the_day_is_utc(inbox: MakeInbox) -> None:
    visits = inbox(Source(**{**VISITS.__dict__, "timezone": "Europe/Madrid"}))
    # An hour that the change to summer time skipped is no time at all.
    visits.drop("a.csv", HEADER + "1,2025-06-02 01:00:00,1,1,\n2,2025-03-30 02:30:00,1,1,\n")
    visits.land()
    assert rows_of(visits).select("at", "_day").rows() == [(datetime(2025, 6, 1, 23), date(2025, 6, 1))]
    assert visits.rejects()["column"].to_list() == ["at"]


def test_a_nested_record_is_exploded_into_rows(inbox: MakeInbox) -> None:
    def explode(record: dict) -> list[dict]:
        return [
            {"id": f"{record['id']}-{n}", "at": record["at"], "amount": x, "n": n} for n, x in enumerate(record["xs"])
        ]

    visits = inbox(Source(**{**VISITS.__dict__, "explode": explode}))
    visits.drop("a.jsonl", '{"id": "a", "at": "2025-06-01 10:00:00", "xs": [0.1, 2]}\n{"id": "b"}\nnonsense\n')
    visits.land()
    assert rows_of(visits).sort("id").select("id", "amount").rows() == [("a-0", 0.1), ("a-1", 2.0)]
    rejects = visits.rejects().sort("row")
    assert rejects["text"].to_list() == ['{"id": "b"}', "nonsense"]
    assert "KeyError" in rejects["reason"][0]


def test_half_a_character_costs_its_record_and_no_other(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    line = '{"id": "%s", "at": "2025-06-01 10:00:00", "amount": 1, "n": 1, "note": "%s"}\n'
    visits.drop("a.jsonl", line % ("1", "\\ud83d\\ude00") + line % ("2", "\\ud83d"))
    visits.land()
    assert rows_of(visits).select("id", "note").rows() == [("1", "😀")]
    assert "surrogates not allowed" in visits.rejects()["reason"].item()


# -------------------------------------------------------------------------------------------------------- rejects


def test_every_row_that_cannot_be_taken_is_in_the_rejects_with_its_place_and_reason(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop(
        "a.csv",
        (HEADER + "1,2025-06-01 10:00:00,1,1,fine\n").encode()
        + b"2,2025-06-01 10:00:00,much,1,\n"  # an amount that is none
        + b"3,2025-06-31 10:00:00,1,1,\n"  # a day that is none
        + b",2025-06-01 10:00:00,1,1,\n"  # no key
        + b"5,,1,1,\n"  # no time
        + b"6,2025-06-01 10:00:00,1,2.5,\n"  # no integer
        + b"7,2025-06-01 10:00:00,1,-1,\n"  # against a rule
        + b"8,2025-06-01 10:00:00,1\n"  # too few fields
        + b"9,2025-06-01 10:00:00,1,1,x,y\n"  # too many
        + b"10,2025-06-01 10:00:00,1,1,\xff\xfe\n"  # no UTF-8
        + b'11,2025-06-01 10:00:00,nan,1,"last"\n',  # no amount either
    )
    report = visits.land()
    rejects = visits.rejects()
    assert ids(visits) == ["1"]
    assert rejects.height == report.landed["a.csv"].rejected_rows == 10
    reasons = dict(zip(rejects["reason"].to_list(), rejects["column"].to_list(), strict=True))
    assert reasons["not a number"] == "amount"
    assert reasons["not a time"] == "at"
    assert reasons["not a whole number"] == "n"
    assert "n is negative" in reasons
    by_start = {reason.split(":")[0] for reason in reasons}
    assert {"missing columns", "too many columns", "invalid encoding"} <= by_start
    assert '"amount":"much"' in "".join(rejects["text"].to_list())
    assert set(rejects["file"]) == {"a.csv"}
    by_day = Ledger(visits.settings.lake_dir).rejected(VISITS, JUNE)
    # The six whose time could be read stand on their day.
    assert by_day == {date(2025, 6, 1): 5}
    assert report.landed["a.csv"].rejected[None] == 5


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "it is empty"),
        ("a.csv", b"id,at,amount\n1,2025-06-01 10:00:00,1\n", "it lacks the column n"),
        ("a.csv", b"id,at,amount,n,n\n", "names n more than once"),
        ("a.csv", b"\xff\x00", "cannot be read as UTF-8"),
        ("a.csv.gz", b"this is not gzip", "cannot be read as CSV"),
        ("a.parquet", b"PAR1 is how it begins", "cannot be read as Parquet"),
        ("a.jsonl.gz", b"this is not gzip", "cannot be read as JSON Lines"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_holds_nothing_else_up(
    inbox: MakeInbox, name: str, content: bytes, said: str
) -> None:
    visits = inbox(VISITS)
    visits.drop(name, content)
    visits.drop("good.csv", HEADER + "1,2025-06-01 10:00:00,1,1,\n")
    report = visits.land()
    assert said in report.unreadable[name]
    assert ids(visits) == ["1"]
    assert visits.land().unreadable == {}  # it is not tried again before it changes
    assert name in Ledger(visits.settings.lake_dir).unreadable(VISITS)
    if name == "a.csv":
        visits.drop(name, HEADER + "2,2025-06-01 10:00:00,1,1,\n")
        visits.land()
        assert ids(visits) == ["1", "2"]
        assert Ledger(visits.settings.lake_dir).unreadable(VISITS) == {}


def test_a_damaged_file_does_not_take_the_place_of_a_good_one(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + "1,2025-06-01 10:00:00,1,1,\n")
    visits.land()
    visits.drop("a.csv", "")
    visits.land()
    assert ids(visits) == ["1"]


def test_a_column_that_nobody_knows_is_kept_as_json_and_reported(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", "id,at,amount,n,colour,size\n1,2025-06-01 10:00:00,1,1,red,\n2,2025-06-01 10:00:00,1,1,,\n")
    report = visits.land()
    assert report.landed["a.csv"].unknown_columns == ["colour", "size"]
    assert rows_of(visits).sort("id")["_extra"].to_list() == ['{"colour":"red","size":null}', None]


# ------------------------------------------------------------------------------------------- what is current


def test_what_was_last_dropped_under_a_path_is_current_older_bytes_included(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    first = HEADER + "1,2025-06-01 10:00:00,1,1,\n2,2025-06-02 10:00:00,1,1,\n"
    second = HEADER + "3,2025-06-03 10:00:00,1,1,\n"
    visits.drop("a.csv", first)
    visits.land()
    visits.drop("a.csv", second)
    visits.land()
    assert ids(visits) == ["3"]
    assert totals(visits) == Totals(accepted=3, in_days=1, waiting=0, superseded=2, rejected=0)
    file = visits.drop("a.csv", first)
    os.utime(file, ns=(1, 1))  # restored from a backup, with its old time
    report = visits.land()
    assert report.known == ["a.csv"]
    assert ids(visits) == ["1", "2"]
    assert totals(visits) == Totals(accepted=3, in_days=2, waiting=0, superseded=1, rejected=0)


def test_equal_bytes_under_two_names_are_one_file_for_facts(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    content = HEADER + "1,2025-06-01 10:00:00,1,1,\n"
    visits.drop("a.csv", content)
    visits.drop("b.csv", content)
    visits.land()
    assert ids(visits) == ["1"]
    visits.drop("a.csv", HEADER + "2,2025-06-01 10:00:00,1,1,\n")
    visits.land()
    assert ids(visits) == ["1", "2"]  # b.csv still holds the first


def test_equal_bytes_under_two_names_are_two_snapshots(inbox: MakeInbox) -> None:
    shops = inbox(SHOPS)
    old, new = "id,city\n1,Rome\n", "id,city\n1,Pisa\n"
    shops.drop("shops-2025-06-03.csv", old)
    shops.drop("shops-2025-06-10.csv", new)
    shops.drop("shops-2025-06-20.csv", old)
    shops.land()
    held = {row[0].day: row[1] for row in rows_of(shops).select("_day", "city").rows()}
    assert [held[n] for n in (1, 3, 9, 10, 19, 20, 30)] == ["Rome", "Rome", "Rome", "Pisa", "Pisa", "Rome", "Rome"]


def test_a_snapshot_without_a_date_holds_from_the_start_and_one_with_no_rows_says_that_there_is_nothing(
    inbox: MakeInbox,
) -> None:
    shops = inbox(SHOPS)
    shops.drop("shops.csv", "id,city\n1,Rome\n")
    shops.drop("shops-20250610.csv", "id,city\n")
    shops.land()
    pieces = Ledger(shops.settings.lake_dir).pieces(SHOPS, JUNE)
    assert {piece.day for piece in pieces[date(2025, 6, 9)]} == {UNDATED}
    assert [piece.rows for piece in pieces[date(2025, 6, 10)]] == [0]
    assert rows_of(shops)["_day"].max() == date(2025, 6, 9)


def test_a_snapshot_whose_name_holds_no_real_date_is_reported(inbox: MakeInbox) -> None:
    shops = inbox(SHOPS)
    shops.drop("shops-2025-13-40.csv", "id,city\n1,Rome\n")
    assert "which is no date" in shops.land().unreadable["shops-2025-13-40.csv"]


def test_an_emptied_inbox_changes_nothing(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + "1,2025-06-01 10:00:00,1,1,\n")
    visits.land()
    (visits.settings.inbox_dir / "visits" / "a.csv").unlink()
    visits.land()
    assert ids(visits) == ["1"]


def test_rows_of_days_that_have_no_partition_wait_and_are_counted(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop(
        "a.csv", HEADER + "".join(f"{n},2025-0{n}-15 10:00:00,1,1,\n" for n in (5, 6, 7)) + "9,2999-01-01 00:00,1,1,\n"
    )
    visits.land()
    assert ids(visits) == ["6"]
    assert totals(visits) == Totals(accepted=4, in_days=1, waiting=3, superseded=0, rejected=0)
    assert ids(visits, Window(date(2025, 5, 1), date(2025, 8, 1))) == ["5", "6", "7"]  # they come in with a partition


def test_a_raised_spec_version_reads_the_files_that_still_lie_there_again(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + "1,2025-06-01 10:00:00,1,-5,\n")
    visits.land()
    assert ids(visits) == []
    changed = Inbox(visits.settings, Source(**{**VISITS.__dict__, "rules": {}, "version": 2}))
    changed.land()
    assert ids(changed) == ["1"]


# -------------------------------------------------------------------------------------- what is left alone


def test_a_file_that_is_still_being_written_is_left_alone(inbox: MakeInbox) -> None:
    visits = inbox(VISITS, inbox_settle_seconds=3600.0)
    file = visits.drop("a.csv", HEADER + "1,2025-06-01 10:00:00,1,1,\n")
    assert visits.land().unsettled == ["a.csv"]
    old = time.time() - 7200
    os.utime(file, (old, old))
    assert list(visits.land().landed) == ["a.csv"]


def test_a_file_that_grows_while_it_is_read_is_left_for_later(
    inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits = inbox(VISITS)
    file = visits.drop("a.csv", HEADER + "1,2025-06-01 10:00:00,1,1,\n")
    read = landing_module.read_batches

    def reading_slowly(path: Path, source: Source) -> object:
        with file.open("a") as growing:
            growing.write("2,2025-06-01 10:00:00,1,1,\n")
        return read(path, source)

    monkeypatch.setattr(landing_module, "read_batches", reading_slowly)
    assert visits.land().unsettled == ["a.csv"]
    assert totals(visits).accepted == 0
    monkeypatch.undo()
    visits.land()
    assert ids(visits) == ["1", "2"]


def test_nothing_outside_the_inbox_is_followed(inbox: MakeInbox, tmp_path: Path) -> None:
    visits = inbox(VISITS)
    secret = tmp_path / "secret.csv"
    secret.write_text(HEADER + "1,2025-06-01 10:00:00,1,1,\n")
    folder = visits.drop("good.csv", HEADER + "2,2025-06-01 10:00:00,1,1,\n").parent
    (folder / "link.csv").symlink_to(secret)
    (folder / "folder").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.csv")
    report = visits.land()
    assert ids(visits) == ["2"]
    assert set(report.ignored) == {"link.csv", "folder", "pipe.csv"}


@pytest.mark.parametrize("name", ["*.csv", "a[1].csv", 'a b\'s "x";--.csv', "-rf.csv", "sub/folder/ü.csv", "..csv"])
def test_odd_names_are_only_names(inbox: MakeInbox, name: str) -> None:
    visits = inbox(VISITS)
    visits.drop("other.csv", HEADER + "0,2025-06-01 10:00:00,1,1,\n")
    visits.drop(name, HEADER + "1,2025-06-01 10:00:00,1,1,\n")
    visits.land()
    assert rows_of(visits).filter(pl.col("id") == "1")["_source_file"].to_list() == [name]
    assert ids(visits) == ["0", "1"]


def test_names_that_cannot_be_shown_and_files_of_no_source_are_reported(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("new\nline.csv", HEADER)
    visits.drop("readme.txt", "hello")
    (visits.settings.inbox_dir / "visits" / os.fsdecode(b"\xff.csv")).write_text(HEADER)
    assert len(visits.land().ignored) == 3


# ------------------------------------------------------------------------------------------ kills and batches


class Killed(BaseException):
    """What a kill looks like from inside: no `except Exception` sees it."""


@pytest.mark.parametrize("write", range(5))
def test_a_landing_that_is_killed_at_a_write_lands_everything_once_at_the_next_run(
    inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    """Writes 0 to 1 are pieces, 2 the rejects, 3 the ledger's, after which they count, 4 the journal's."""
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + "1,2025-06-01 10:00:00,1,1,\n2,2025-06-02 10:00:00,1,1,\n3,x,1,1,\n")
    writes = 0

    def killing(real: Callable) -> Callable:
        def instead(*arguments: object, **named: object) -> object:
            nonlocal writes
            if writes == write:
                raise Killed
            writes += 1
            return real(*arguments, **named)

        return instead

    monkeypatch.setattr(Path, "replace", killing(Path.replace))
    monkeypatch.setattr(Ledger, "record", killing(Ledger.record))
    with pytest.raises(Killed):
        visits.land()
    assert ids(visits) == ([] if write < 4 else ["1", "2"])
    monkeypatch.undo()
    visits.land()
    assert ids(visits) == ["1", "2"]
    assert visits.rejects().height == 1
    assert totals(visits) == Totals(accepted=2, in_days=2, waiting=0, superseded=0, rejected=1)


def test_many_files_are_taken_in_bounded_batches_none_twice_none_forgotten(inbox: MakeInbox) -> None:
    visits = inbox(VISITS, landing_files_per_run=7)
    for n in range(20):
        visits.drop(f"{n}.csv", HEADER + f"{n},2025-06-01 10:00:00,1,1,\n")
    batches = []
    while report := visits.land():
        if not report.landed:
            break
        batches.append(len(report.landed))
    assert batches == [7, 7, 6]
    assert ids(visits) == sorted(str(n) for n in range(20))


def test_a_file_larger_than_the_buffer_lands_in_several_pieces_a_day(
    inbox: MakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics_assets.ingest.csv_files.BYTES_PER_BATCH", 1_000_000)
    visits = inbox(VISITS, landing_buffer_mb=1)
    file = visits.drop("a.csv", "")
    duckdb.sql(
        "select i::varchar as id, timestamp '2025-06-01' + to_seconds(i % 172800) as at, 0.5 as amount, i as n,"
        " 'some note' as note from range(100000) t(i)"
    ).write_csv(str(file))
    visits.land()
    pieces = Ledger(visits.settings.lake_dir).pieces(VISITS, JUNE)
    assert len(pieces[date(2025, 6, 1)]) > 1
    assert sum(piece.rows for held in pieces.values() for piece in held) == 100_000
    landed = rows_of(visits)
    assert landed["id"].n_unique() == 100_000
    assert sorted(landed["_source_row"].to_list()) == list(range(1, 100_001))
    assert landed.filter(pl.col("_source_row") != pl.col("n") + 1).height == 0


def test_the_time_of_landing_is_utc(inbox: MakeInbox) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + "1,2025-06-01 10:00:00,1,1,\n")
    before = datetime.now(UTC).replace(tzinfo=None)
    visits.land()
    assert before <= rows_of(visits)["_landed_at"][0] <= datetime.now(UTC).replace(tzinfo=None)
