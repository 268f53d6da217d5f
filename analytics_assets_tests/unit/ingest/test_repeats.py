"""Rows without an id: landing numbers those that are equal, so that what is delivered again counts once."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_assets.ingest import landing
from analytics_assets.ingest.raw_days import rows_of_pieces
from analytics_assets.spec.source import Source
from analytics_assets.state.ledger import Ledger
from analytics_assets.warehouse.bigquery.load_jobs import raw_schema
from analytics_assets_tests.support.inbox import Inbox
from analytics_assets_tests.support.project import IN_FULL, test_settings
from analytics_assets_tests.support.visits import JUNE, MakeInbox, rows_of

PURCHASES = Source(
    name="purchases",
    patterns=("*.csv", "*.jsonl"),
    columns={"user_id": pl.String, "bought_at": pl.Datetime("us"), "amount": pl.Int64, "note": pl.String},
    time="bought_at",
    primary_key=("user_id", "bought_at", "amount", "_repeat"),
    optional=frozenset({"note"}),
)

HEADER = "user_id,bought_at,amount,note\n"

Purchase = tuple[str, int, int]
"""Who bought, on which day of June, and for how much."""


def csv(purchases: Sequence[Purchase]) -> str:
    return HEADER + "".join(
        f"{user},2025-06-{day:02} 12:00:00,{amount},row {number}\n"
        for number, (user, day, amount) in enumerate(purchases)
    )


@contextmanager
def cut_into(batch_bytes: int, buffer_bytes: int) -> Iterator[None]:
    """Files are read in batches, and written in pieces, of about so many bytes."""
    buffer = landing._Buffer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analytics_assets.ingest.csv_files.BYTES_PER_BATCH", batch_bytes)
        patch.setattr(landing, "_Buffer", lambda _: buffer(buffer_bytes))
        yield


def numbered(inbox: Inbox) -> list[tuple[str, int]]:
    return rows_of(inbox).sort("_source_file", "_source_row").select("note", "_repeat").rows()


def test_equal_rows_of_a_file_are_numbered_in_its_order(inbox: MakeInbox) -> None:
    purchases = inbox(PURCHASES)
    purchases.drop("a.csv", csv([("p", 1, 5), ("q", 1, 5), ("p", 1, 5), ("p", 2, 5), ("p", 1, 6), ("p", 1, 5)]))
    purchases.land()
    assert numbered(purchases) == [("row 0", 1), ("row 1", 1), ("row 2", 2), ("row 3", 1), ("row 4", 1), ("row 5", 3)]


def test_rows_that_leave_a_column_of_their_key_empty_are_equal_in_it(inbox: MakeInbox) -> None:
    purchases = inbox(replace(PURCHASES, may_be_empty=frozenset({"user_id"})))
    purchases.drop("a.csv", csv([("", 1, 1), ("u", 1, 1), ("", 1, 1), (" ", 1, 1), ("", 1, 2)]))
    purchases.land()
    assert [number for _, number in numbered(purchases)] == [1, 1, 2, 1, 1]  # a blank is not empty
    purchases.drop("long.csv", csv([("", 2, 1) for _ in range(10_000)]))
    with cut_into(20_000, 30_000):
        purchases.land()
    assert len(Ledger(purchases.settings.lake_dir).pieces(purchases.source, JUNE)[date(2025, 6, 2)]) > 3
    rows = rows_of(purchases).filter(pl.col("_source_file") == "long.csv")
    assert rows.select((pl.col("_repeat") == pl.col("_source_row")).all()).item()


def test_a_row_that_leaves_a_column_of_its_key_empty_is_rejected_unless_the_spec_allows_it(inbox: MakeInbox) -> None:
    purchases = inbox(PURCHASES)
    purchases.drop("a.csv", csv([("", 1, 1), ("u", 1, 1)]))
    purchases.land()
    assert numbered(purchases) == [("row 1", 1)]


@pytest.mark.parametrize(
    ("columns", "said"),
    [({"note"}, "note may be empty anyway"), ({"user_id", "bought_at", "amount"}, None), ({"missing"}, "missing may")],
)
def test_only_columns_of_a_key_are_said_to_be_empty(columns: set[str], said: str | None) -> None:
    if said is None:
        spec = replace(PURCHASES, may_be_empty=frozenset(columns))
        assert spec.required == {"bought_at"}, "a row has its time all the same"
        return
    with pytest.raises(ValueError, match=said):
        replace(PURCHASES, may_be_empty=frozenset(columns))


def test_a_rejected_row_takes_no_number(inbox: MakeInbox) -> None:
    purchases = inbox(PURCHASES)
    line = '{"user_id": "p", "bought_at": "2025-06-01 12:00:00", "amount": 5, "note": "%s"}\n'
    purchases.drop("a.jsonl", line % "first" + line.replace("5", '"five"') % "rejected" + line % "second")
    purchases.land()
    assert numbered(purchases) == [("first", 1), ("second", 2)]
    assert purchases.rejects().height == 1


def test_a_column_of_that_name_in_a_file_is_no_number(inbox: MakeInbox) -> None:
    purchases = inbox(PURCHASES)
    purchases.drop("a.csv", "user_id,bought_at,amount,_repeat\np,2025-06-01 12:00:00,5,9\n")
    purchases.land()
    assert rows_of(purchases).select("_repeat", "_extra").rows() == [(1, '{"_repeat":"9"}')]


def test_raw_days_hold_the_number_on_every_warehouse(inbox: MakeInbox) -> None:
    purchases = inbox(PURCHASES)
    purchases.drop("a.csv", csv([("p", 1, 5), ("p", 1, 5)]))
    purchases.land()
    pieces = Ledger(purchases.settings.lake_dir).pieces(PURCHASES, JUNE)[date(2025, 6, 1)]
    files = [landing.piece_file(purchases.settings, PURCHASES, piece) for piece in pieces]
    held = rows_of_pieces(files, PURCHASES).collect()
    assert held.schema["_repeat"] == pl.Int64
    assert sorted(held["_repeat"]) == [1, 2]
    assert {column.name: column.field_type for column in raw_schema(PURCHASES)}["_repeat"] == "INTEGER"


def test_rows_that_landed_before_their_source_had_numbers_have_none(inbox: MakeInbox) -> None:
    before = inbox(replace(PURCHASES, primary_key=("user_id", "bought_at", "amount")))
    before.drop("a.csv", csv([("p", 1, 5), ("p", 1, 5)]))
    before.land()
    (piece,) = Ledger(before.settings.lake_dir).pieces(PURCHASES, JUNE)[date(2025, 6, 1)]
    held = rows_of_pieces([landing.piece_file(before.settings, PURCHASES, piece)], PURCHASES).collect()
    assert held["_repeat"].to_list() == [None, None]
    after = Inbox(before.settings, replace(PURCHASES, version=2))
    after.land()
    assert numbered(after) == [("row 0", 1), ("row 1", 2)]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (("_repeat",), "needs a primary key"),
        (("_repeat", "user_id"), "the last name of the key"),
        (("user_id", "_repeat", "_repeat"), "the last name of the key"),
    ],
)
def test_the_number_is_the_last_name_of_a_key(key: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(PURCHASES, primary_key=key)


def test_no_column_of_a_spec_has_that_name() -> None:
    with pytest.raises(ValueError, match="names that begin with _ are landing's own"):
        replace(PURCHASES, columns={**PURCHASES.columns, "_repeat": pl.Int64})


# ------------------------------------------------------------------------------------------------------- as a whole

files = st.lists(st.tuples(st.sampled_from("pq"), st.integers(1, 2), st.integers(1, 2)), max_size=12)
drops = st.lists(st.tuples(st.sampled_from(["a.csv", "b.csv", "c.csv"]), st.integers(0, 3)), min_size=1, max_size=6)


@settings(max_examples=500 if IN_FULL else 25)
@given(
    contents=st.lists(files, min_size=4, max_size=4),
    history=drops,
    batch_bytes=st.integers(1, 200),
    buffer_bytes=st.integers(0, 500),
)
def test_a_key_counts_as_often_as_the_current_file_has_it_that_has_it_most(
    tmp_path_factory: pytest.TempPathFactory,
    contents: list[list[Purchase]],
    history: list[tuple[str, int]],
    batch_bytes: int,
    buffer_bytes: int,
) -> None:
    purchases = Inbox(test_settings(tmp_path_factory.mktemp("lake")), PURCHASES)
    current: dict[str, list[Purchase]] = {}
    with cut_into(batch_bytes, buffer_bytes):
        for path, number in history:
            purchases.drop(path, csv(contents[number]))
            purchases.land()
            current[path] = contents[number]

    expected: Counter[Purchase] = Counter()
    for held in current.values():
        expected |= Counter(held)  # the larger count of each
    rows = rows_of(purchases).sort("_landed_at", "_source_row").rows(named=True)
    keys = {(row["user_id"], row["bought_at"], row["amount"], row["_repeat"]) for row in rows}
    found = Counter((user, at.day, amount) for user, at, amount, _ in keys)
    assert found == expected

    in_file = defaultdict(list)
    for row in rows:
        in_file[row["_landed_at"], row["user_id"], row["bought_at"], row["amount"]].append(row["_repeat"])
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in in_file.values())


def test_a_file_larger_than_memory_allows_is_numbered_across_its_pieces(inbox: MakeInbox, tmp_path: Path) -> None:
    purchases = inbox(PURCHASES)
    users = 500
    purchases.drop("a.csv", csv([(f"u{number % users}", 1, 1) for number in range(10_000)]))
    with cut_into(20_000, 30_000):
        purchases.land()
    assert len(Ledger(purchases.settings.lake_dir).pieces(PURCHASES, JUNE)[date(2025, 6, 1)]) > 3
    rows = rows_of(purchases)
    assert rows["bought_at"].unique().to_list() == [datetime(2025, 6, 1, 12)]
    assert rows.select((pl.col("_repeat") == (pl.col("_source_row") - 1) // users + 1).all()).item()
