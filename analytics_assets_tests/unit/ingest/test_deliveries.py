"""Rows without a time of their own stand on the day of their delivery."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, tzinfo

import polars as pl
import pytest

from analytics_assets.ingest import landing
from analytics_assets.spec.source import Kind, Source
from analytics_assets.state.ledger import Ledger, Totals
from analytics_assets_tests.support.inbox import Inbox
from analytics_assets_tests.support.visits import JUNE, SHOPS, VISITS, MakeInbox, ids, rows_of, totals

PAYMENTS = Source(
    name="payments",
    patterns=("*.csv",),
    columns={"id": pl.String, "amount": pl.Int64},
    kind=Kind.DELIVERY,
    primary_key=("id",),
)

HEADER = "id,amount\n"


@contextmanager
def at(time: datetime) -> Iterator[None]:
    """Files land at a time, in UTC."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return time.replace(tzinfo=UTC).astimezone(tz)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landing, "datetime", Clock)
        yield


def by_day(inbox: Inbox) -> dict[date, list[str]]:
    """The ids that stand on each day of June that has any."""
    rows = rows_of(inbox).sort("id").rows(named=True)
    return {day: [row["id"] for row in rows if row["_day"] == day] for day in sorted({row["_day"] for row in rows})}


def test_the_day_of_a_delivery_is_in_its_name_and_no_other_day_holds_it(inbox: MakeInbox) -> None:
    payments = inbox(PAYMENTS)
    payments.drop("payments-2025-06-03.csv", HEADER + "1,5\n2,5\n")
    payments.drop("date=2025-06-05/part-0.csv", HEADER + "3,5\n")
    payments.drop("date=2025-06-05/others.csv", HEADER + "4,5\n")  # no snapshot that would replace the one before
    payments.land()
    assert by_day(payments) == {date(2025, 6, 3): ["1", "2"], date(2025, 6, 5): ["3", "4"]}


def test_without_one_it_is_the_utc_day_on_which_the_file_landed(inbox: MakeInbox) -> None:
    payments = inbox(PAYMENTS)
    for time in (datetime(2025, 6, 3, 23, 59), datetime(2025, 6, 4, 0, 1)):
        payments.drop(f"{time:%d}.csv", HEADER + f"{time:%d},5\n")
        with at(time):
            payments.land()
    assert by_day(payments) == {date(2025, 6, 3): ["03"], date(2025, 6, 4): ["04"]}


def test_the_same_bytes_are_one_delivery_of_a_day_and_another_one_on_another_day(inbox: MakeInbox) -> None:
    payments = inbox(PAYMENTS)
    for name in ("payments-2025-06-03.csv", "again/payments-2025-06-03.csv", "payments-2025-06-04.csv"):
        payments.drop(name, HEADER + "1,5\n")
    payments.land()
    assert by_day(payments) == {date(2025, 6, 3): ["1"], date(2025, 6, 4): ["1"]}


def test_bytes_without_a_date_stay_on_the_day_on_which_they_landed_first(inbox: MakeInbox) -> None:
    payments = inbox(PAYMENTS)
    payments.drop("payments.csv", HEADER + "1,5\n")
    with at(datetime(2025, 6, 3)):
        payments.land()
    payments.drop("again.csv", HEADER + "1,5\n")
    with at(datetime(2025, 6, 4)):
        assert payments.land().known == ["again.csv"]
    read_again = Inbox(payments.settings, replace(PAYMENTS, version=2))
    with at(datetime(2025, 6, 5)):
        assert read_again.land().landed
    assert by_day(read_again) == {date(2025, 6, 3): ["1"]}
    assert rows_of(read_again)["_landed_at"].unique().to_list() == [datetime(2025, 6, 5)]


def test_other_bytes_under_the_path_replace_what_it_delivered(inbox: MakeInbox) -> None:
    payments = inbox(PAYMENTS)
    payments.drop("payments.csv", HEADER + "1,5\n2,5\n")
    with at(datetime(2025, 6, 3)):
        payments.land()
    payments.drop("payments.csv", HEADER + "1,6\n")
    with at(datetime(2025, 6, 4)):
        payments.land()
    assert by_day(payments) == {date(2025, 6, 4): ["1"]}
    assert totals(payments) == Totals(accepted=3, in_days=1, waiting=0, superseded=2, rejected=0)


def test_deliveries_of_days_that_have_no_partition_wait(inbox: MakeInbox) -> None:
    payments = inbox(PAYMENTS)
    for day in ("2025-05-31", "2025-06-30", "2025-07-01"):
        payments.drop(f"payments-{day}.csv", HEADER + f"{day},5\n")
    payments.land()
    assert ids(payments) == ["2025-06-30"]
    assert totals(payments) == Totals(accepted=3, in_days=1, waiting=2, superseded=0, rejected=0)


def test_a_file_without_rows_delivers_nothing(inbox: MakeInbox) -> None:
    payments = inbox(PAYMENTS)
    before = Ledger(payments.settings.lake_dir).pieces(PAYMENTS, JUNE)
    payments.drop("payments-2025-06-03.csv", HEADER)
    assert payments.land().landed
    assert Ledger(payments.settings.lake_dir).pieces(PAYMENTS, JUNE) == before


def test_a_delivery_whose_name_holds_no_real_date_is_refused(inbox: MakeInbox) -> None:
    payments = inbox(PAYMENTS)
    payments.drop("payments-2025-06.csv", HEADER + "1,5\n")
    assert "'2025-06', which is no date that is understood" in payments.land().unreadable["payments-2025-06.csv"]


@pytest.mark.parametrize(
    ("source", "changes", "said"),
    [
        (VISITS, {"kind": Kind.DELIVERY}, "have no time of their own"),
        (VISITS, {"complete": True}, "only a delivery may be complete"),
        (SHOPS, {"complete": True}, "only a delivery may be complete"),
    ],
)
def test_what_no_delivery_can_be(source: Source, changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(source, **changes)  # type: ignore[arg-type]
