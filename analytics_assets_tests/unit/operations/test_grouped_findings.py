"""Days that failed alike are one line of the status."""

from datetime import date, timedelta

from analytics_assets.operations.health import Finding, State, grouped
from analytics_assets.partitions import Window

FIRST = date(2026, 1, 1)


def failed(number: int, why: str, next_try: str = "", asset: str = "mart_orders") -> Finding:
    day = FIRST + timedelta(number)
    return Finding(asset, "", State.FAILED, Window.of_days(day, day), why, next_try)


def test_days_whose_reasons_differ_only_in_numbers_are_one_finding() -> None:
    days = [failed(n, f"{n:,} rows of {FIRST + timedelta(n)}", f"again at 1{n % 10}:00") for n in range(0, 2220, 10)]
    (one,) = grouped(days)
    assert one.why == "0 rows of 2026-01-01, and 221 more days"
    assert one.next_try == "again at 10:00"
    assert one.days == Window.of_days(FIRST, FIRST + timedelta(2210))
    assert one.count == 222


def test_other_reasons_assets_and_states_stay_apart() -> None:
    apart = [
        failed(1, "no column a"),
        failed(2, "no column b"),
        failed(3, "no column a", asset="mart_users"),
        failed(4, "no column a", "again at the next tick"),
        Finding("mart_orders", "", State.MISSING, Window.of_days(FIRST, FIRST), "no column a"),
    ]
    assert grouped(apart) == apart


def test_spans_with_one_and_the_same_reason_say_it_once() -> None:
    (one,) = grouped([failed(1, "it broke"), failed(5, "it broke")])
    assert (one.why, one.count) == ("it broke", 2)


def test_files_and_checks_are_listed_one_by_one() -> None:
    span = Window.of_days(FIRST, FIRST + timedelta(9))
    files = [Finding("landed_orders", "", State.FAILED, None, f"orders-{n}.csv: it is empty") for n in range(3)]
    checks = [Finding("mart_orders", "", State.CHECK_FAILED, span, f"check_{n}: 5", objected=2) for n in range(2)]
    assert grouped([*files, *checks]) == [*files, *checks]
