"""Columns that landing derives from a row's own, for rows whose files do not say which of them is newer."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from itertools import permutations

import polars as pl
import pytest

from analytics_assets.dbt.variables import source_vars
from analytics_assets.ingest.landing import piece_file
from analytics_assets.ingest.raw_days import rows_of_pieces
from analytics_assets.spec.source import Source
from analytics_assets.state.ledger import Ledger
from analytics_assets.warehouse.bigquery.load_jobs import raw_schema
from analytics_assets_tests.support.visits import JUNE, MakeInbox, rows_of

TIMES = ("ordered_at", "paid_at", "sent_at")
PARCELS = Source(
    name="parcels",
    patterns=("*.csv", "*.jsonl"),
    columns={"parcel_id": pl.String, "state": pl.String, **dict.fromkeys(TIMES, pl.Datetime("us"))},
    time="ordered_at",
    primary_key=("parcel_id",),
    optional=frozenset({"paid_at", "sent_at"}),
    derived={
        "last_event_at": pl.max_horizontal(TIMES),
        "state_rank": pl.col("state").replace_strict({"open": 1, "lost": 2}, default=0, return_dtype=pl.Int64),
    },
    dedup_order=("last_event_at desc", "state_rank desc"),
)
HEADER = "parcel_id,state,ordered_at,paid_at,sent_at\n"
STATES = (
    "p,open,2025-06-01 10:00:00,,\n",
    "p,open,2025-06-01 10:00:00,2025-06-02 09:00:00,\n",
    "p,open,2025-06-01 10:00:00,2025-06-02 09:00:00,2025-06-04 08:00:00\n",
    "p,lost,2025-06-01 10:00:00,2025-06-02 09:00:00,2025-06-04 08:00:00\n",
)


def newest(rows: pl.DataFrame) -> tuple[object, ...]:
    """The row that the dedup order of the spec keeps."""
    steps = PARCELS.dedup_steps
    in_order = rows.sort([one.column for one in steps], descending=[one.largest for one in steps], nulls_last=True)
    return in_order.select("state", "last_event_at", "state_rank").row(0)


@pytest.mark.parametrize("order", permutations(range(len(STATES))))
def test_a_derived_column_decides_which_row_stays_whatever_the_order_of_arrival(
    inbox: MakeInbox, order: tuple[int, ...]
) -> None:
    parcels = inbox(PARCELS)
    for number in order:
        parcels.drop(f"{number}.csv", HEADER + STATES[number])
        parcels.land()
    assert newest(rows_of(parcels)) == ("lost", datetime(2025, 6, 4, 8), 2)


def test_it_is_computed_from_values_as_they_were_typed_and_of_rows_that_are_accepted(inbox: MakeInbox) -> None:
    parcels = inbox(replace(PARCELS, timezone="Europe/Madrid"))
    parcels.drop(
        "a.jsonl",
        '{"parcel_id": "p", "state": "?", "ordered_at": "2025-06-01T10:00:00Z", "sent_at": "2025-06-01 12:30:00"}\n'
        '{"parcel_id": "q", "state": "open", "ordered_at": "2025-06-01 10:00:00", "sent_at": "soon"}\n',
    )
    parcels.land()
    held = rows_of(parcels).select("parcel_id", "last_event_at", "state_rank").rows()
    assert held == [("p", datetime(2025, 6, 1, 10, 30), 0)]
    assert parcels.rejects()["reason"].to_list() == ["not a time"]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_column_of_that_name_in_a_file_is_unknown_as_any_other(inbox: MakeInbox, ending: str) -> None:
    parcels = inbox(PARCELS)
    content = {
        "csv": "parcel_id,state,ordered_at,state_rank\np,open,2025-06-01 10:00:00,9\n",
        "jsonl": '{"parcel_id": "p", "state": "open", "ordered_at": "2025-06-01 10:00:00", "state_rank": "9"}\n',
    }
    parcels.drop(f"a.{ending}", content[ending])
    report = parcels.land()
    assert rows_of(parcels).select("state_rank", "_extra").rows() == [(1, '{"state_rank":"9"}')]
    (content_landed,) = report.landed.values()
    assert content_landed.unknown_columns == ["state_rank"]


def test_raw_days_hold_it_on_every_warehouse_and_say_nothing_of_rows_that_landed_before(inbox: MakeInbox) -> None:
    before = inbox(replace(PARCELS, derived={}, dedup_order=()))
    before.drop("a.csv", HEADER + STATES[0])
    before.land()
    (piece,) = Ledger(before.settings.lake_dir).pieces(PARCELS, JUNE)[date(2025, 6, 1)]
    held = rows_of_pieces([piece_file(before.settings, PARCELS, piece)], PARCELS).collect()
    assert held.schema["last_event_at"] == pl.Datetime("us")
    assert held.select("last_event_at", "state_rank").rows() == [(None, None)]
    types = {column.name: column.field_type for column in raw_schema(PARCELS)}
    assert (types["last_event_at"], types["state_rank"]) == ("TIMESTAMP", "INTEGER")


def test_the_hash_of_a_row_does_not_hold_what_follows_from_its_other_columns() -> None:
    said = source_vars([PARCELS])["parcels"]
    assert said["dedup_order"] == [["last_event_at", "desc"], ["state_rank", "desc"]]
    assert said["columns"] == list(PARCELS.columns)


@pytest.mark.parametrize(
    ("derived", "said"),
    [
        ({"later": pl.max_horizontal("ordered_at", "missing")}, "later is derived from missing, which is no column"),
        ({"a": pl.col("state"), "b": pl.col("a")}, "b is derived from a, which is no column"),
        ({"_later": pl.col("paid_at")}, "_later: names that begin with _ are landing's own"),
        ({"state": pl.col("state").str.to_lowercase()}, "state names more than one column"),
        ({"Status": pl.col("state")}, "Status names more than one column"),
        ({"first": pl.col("paid_at").min()}, "first is not derived from the columns of its own row alone"),
        ({"before": pl.col("paid_at").shift()}, "before is not derived from the columns of its own row alone"),
        ({"one": pl.lit(1)}, "one is not derived from the columns of its own row alone"),
        ({"all": pl.all()}, "all is not derived from the columns of its own row alone"),
        ({"half": pl.col("state") / 2}, "a derived column cannot be computed"),
    ],
)
def test_what_cannot_be_derived_is_told(derived: Mapping[str, pl.Expr], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(PARCELS, aliases={"state": ("Status",)}, derived=derived, dedup_order=())


@pytest.mark.parametrize("naming", ["primary_key", "optional", "time"])
def test_only_the_dedup_order_may_name_it(naming: str) -> None:
    names = {"primary_key": ("state_rank",), "optional": frozenset({"state_rank"}), "time": "last_event_at"}
    with pytest.raises(ValueError, match="is not among its columns"):
        replace(PARCELS, **{naming: names[naming]})


def test_the_digest_of_a_spec_holds_names_and_types_of_what_is_derived() -> None:
    of_text = replace(PARCELS, derived={**PARCELS.derived, "state_rank": pl.col("state")})
    ranked = {"open": 3}
    alike = pl.col("state").replace_strict(ranked, default=0, return_dtype=pl.Int64)
    assert of_text.reads_by != PARCELS.reads_by
    assert replace(PARCELS, derived={**PARCELS.derived, "state_rank": alike}).reads_by == PARCELS.reads_by
