"""Files that nobody meant: whatever bytes lie in the inbox, landing ends, says what became of them, and loses no other.

Small good files of each format are mutated at random. None may crash or hang a landing, and a file that lies beside
them keeps its rows. The suite tries a few mutations, always the same; `make proof` goes on for FUZZ_SECONDS with new
ones. A seed that fails is printed, and `HOSTILE_SEED=<seed>` tries it again.
"""

import faulthandler
import gzip
import io
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest

from analytics_assets.ingest.landing import Landing, piece_file
from analytics_assets.partitions import Window
from analytics_assets.spec.source import Source
from analytics_assets.state.ledger import Ledger
from analytics_assets_tests.support.inbox import Inbox
from analytics_assets_tests.support.project import test_settings

PER_LANDING = 20
AROUND = Window(date(1900, 1, 1), date(2200, 1, 1))
"""All days that a time may lie on."""
HANGS_AFTER = 120  # seconds, for files of a few hundred bytes; on a busy machine a landing takes one

THINGS = Source(
    name="things",
    patterns=("*.csv", "*.csv.gz", "*.parquet", "*.jsonl", "*.jsonl.gz"),
    columns={
        "id": pl.String,
        "at": pl.Datetime("us"),
        "on": pl.Date,
        "amount": pl.Float64,
        "n": pl.Int64,
        "ok": pl.Boolean,
        "note": pl.String,
    },
    optional=frozenset({"on", "amount", "n", "ok", "note"}),
    time="at",
    primary_key=("id",),
)

TOKENS = [
    b'"', b'""', b"'", b",", b"\n", b"\r", b"\r\n", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\\", b"{", b"}", b"[", b"]",
    b":", b"null", b"NaN", b"Infinity", b"1e999", b"-1e-999", b"9223372036854775808", b"9999-12-31T23:59:59-14:00",
    b"0001-01-01T00:00:00+14:00", b"2026-02-30", b"\xed\xa0\x80", b'"\\ud800"', b"_source_row", b"_extra", b"_day",
    b"\x1f\x8b\x08\x00", b"PAR1", b" UTC", b"\xe2\x80\xa8", b"a" * 5000, b"[" * 2000, b",\n" * 200,
]  # fmt: skip


def good_rows(random: Random, prefix: str) -> list[dict[str, object]]:
    start = datetime(2026, 1, 1)
    return [
        {
            "id": f"{prefix}{number}",
            "at": str(start + timedelta(minutes=random.randrange(10_000))),
            "on": "2026-01-05",
            "amount": round(random.uniform(-5, 5), 3),
            "n": random.randrange(100),
            "ok": random.random() < 0.5,
            "note": random.choice(["", "x", 'said "so"', "two\nlines", "é, ü", None]),
        }
        for number in range(random.randrange(1, 12))
    ]


def as_csv(rows: list[dict[str, object]]) -> bytes:
    return pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String), strict=False).write_csv().encode()


def as_json_lines(rows: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet(rows: list[dict[str, object]]) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(rows).with_columns(pl.col("at").str.to_datetime()).write_parquet(file, use_pyarrow=False)
    return file.getvalue()


FORMATS: dict[str, Callable[[list[dict[str, object]]], bytes]] = {
    ".csv": as_csv,
    ".csv.gz": lambda rows: gzip.compress(as_csv(rows), mtime=0),
    ".jsonl": as_json_lines,
    ".jsonl.gz": lambda rows: gzip.compress(as_json_lines(rows), mtime=0),
    ".parquet": as_parquet,
}


def mutated(content: bytes, random: Random) -> bytes:
    """A content with some bytes flipped, cut out, put twice, put elsewhere, or something nasty put in."""
    data = bytearray(content)
    for _ in range(random.randrange(1, 6)):
        here, length = random.randrange(len(data) + 1), random.randrange(1, 60)
        match random.randrange(6):
            case 0:
                data[here:here] = random.choice(TOKENS)
            case 1:
                del data[here : here + length]
            case 2:
                data[here : here + length] = data[here : here + length] * 2
            case 3 if here < len(data):
                data[here] ^= 1 << random.randrange(8)
            case 4:
                del data[here:]
            case 5:
                there = random.randrange(len(data) + 1)
                data[there:there] = data[here : here + length]
    return bytes(data)


def hostile(random: Random) -> tuple[str, bytes]:
    """A file's ending, and what is in it: a mutation; of a packed file, often of what is packed."""
    ending = random.choice(sorted(FORMATS))
    rows = good_rows(random, "h")
    if ending.endswith(".gz") and random.random() < 0.5:
        return ending, gzip.compress(mutated(FORMATS[ending.removesuffix(".gz")](rows), random))
    return ending, mutated(FORMATS[ending](rows), random)


def held(inbox: Inbox) -> dict[str, list[tuple]]:
    """The current rows of all days, by the file that they come from."""
    rows: dict[str, list[tuple]] = {}
    for pieces in inbox_pieces(inbox):
        for row in pieces.drop("_landed_at").rows(named=True):
            rows.setdefault(row["_source_file"], []).append(tuple(row.values()))
    return rows


def inbox_pieces(inbox: Inbox) -> Iterator[pl.DataFrame]:
    for held_pieces in Ledger(inbox.settings.lake_dir).pieces(inbox.source, AROUND).values():
        for piece in held_pieces:
            frame = pl.read_parquet(piece_file(inbox.settings, inbox.source, piece))
            assert frame.height == piece.rows
            yield frame


def land_beside_a_good_file(folder: Path, seed: int) -> None:
    """Lands some mutations and a good file, which must come out as it does alone, and their books must add up."""
    random = Random(seed)
    rows = good_rows(random, "good")
    inbox = Inbox(test_settings(folder / "data", start_date=datetime(2026, 1, 1).date()), THINGS)
    inbox.drop("a-good-file.csv", as_csv(rows))
    for number in range(PER_LANDING):
        ending, content = hostile(random)
        inbox.drop(f"hostile-{number}{ending}", content)
    inbox.drop("z-good-file.jsonl", as_json_lines(rows))
    report = Landing(inbox.settings, THINGS).run()

    found = held(inbox)
    for good in ("a-good-file.csv", "z-good-file.jsonl"):
        assert report.landed[good].accepted_rows == len(rows)
        assert len(found[good]) == len(rows)
    ids = ["id", "_source_row"]
    assert [row[:1] for row in sorted(found["a-good-file.csv"])] == sorted((row["id"],) for row in rows), ids
    named = {*report.landed, *report.known, *report.unreadable}
    assert len(named) == PER_LANDING + 2, "each file has landed, or is named with a reason"
    assert all(reason and "\n" not in reason for reason in report.unreadable.values())
    for path, content in report.landed.items():
        assert content.accepted_rows == len(found.get(path, [])), path
    rejects = inbox.rejects()
    by_file = dict(rejects.group_by("file").agg(pl.col("lines").sum()).iter_rows()) if rejects.height else {}
    for path, content in report.landed.items():
        assert content.rejected_rows == by_file.get(path, 0), path
    assert Landing(inbox.settings, THINGS).run().landed == {}, "nothing is looked at twice"


def seeds() -> Iterator[int]:
    if "HOSTILE_SEED" in os.environ:
        yield int(os.environ["HOSTILE_SEED"])
        return
    until = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "600"))
    random = Random(datetime.now(UTC).isoformat())
    while time.monotonic() < until:
        yield random.randrange(2**32)


def land_or_say_the_seed(folder: Path, seed: int) -> None:
    said = f"HOSTILE_SEED={seed}"
    faulthandler.dump_traceback_later(HANGS_AFTER, exit=True, file=sys.__stderr__)
    before_the_end = threading.Timer(HANGS_AFTER - 5, lambda: print(said, file=sys.__stderr__, flush=True))
    before_the_end.start()
    try:
        land_beside_a_good_file(folder, seed)
    except BaseException:
        print(said)
        raise
    finally:
        before_the_end.cancel()
        faulthandler.cancel_dump_traceback_later()


@pytest.mark.parametrize("seed", range(5))
def test_mutated_files_crash_nothing_and_take_no_row_of_another(tmp_path: Path, seed: int) -> None:
    land_or_say_the_seed(tmp_path, seed)


@pytest.mark.proof
def test_mutated_files_for_as_long_as_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tried = 0
    for seed in seeds():
        land_or_say_the_seed(tmp_path / str(seed), seed)
        shutil.rmtree(tmp_path / str(seed))
        tried += PER_LANDING
    with capsys.disabled():
        print(f"{tried:,} files")
