from datetime import date

from analytics_assets.automation.run_grouping import PlannedRun, group_into_runs, same_window, tied_windows
from analytics_assets.operations.runner import contiguous
from analytics_assets.partitions import PartitionOffsets, Read, Window

# int of D reads stg of D-1 and D; mart of D reads int of D and D+1.
CHAIN = {
    "raw": [],
    "stg": [Read("raw")],
    "int": [Read("stg", PartitionOffsets(-1, 0))],
    "mart": [Read("int", PartitionOffsets(0, 1))],
    "other": [Read("raw")],
}
ALL = Window.of_days(date(2025, 1, 1), date(2025, 1, 31))


def january(first: int, last: int) -> Window:
    return Window.of_days(date(2025, 1, first), date(2025, 1, last))


def test_a_range_brings_the_days_that_it_is_made_from_and_those_that_hang_on_it() -> None:
    windows = tied_windows(CHAIN, set(CHAIN), january(10, 12), lambda _: ALL)
    assert windows == {
        "raw": january(9, 13),
        "stg": january(9, 13),
        "int": january(10, 13),
        "mart": january(9, 13),
        "other": january(10, 12),
    }


def test_no_day_without_a_partition_is_asked_for() -> None:
    windows = tied_windows(CHAIN, set(CHAIN), january(1, 31), lambda _: ALL)
    assert set(windows.values()) == {ALL}


def test_only_what_is_selected_is_made() -> None:
    assert tied_windows(CHAIN, {"mart"}, january(10, 12), lambda _: ALL) == {"mart": january(10, 12)}


def test_assets_of_one_window_share_a_run_and_every_run_comes_after_those_that_it_reads_from() -> None:
    windows = tied_windows(CHAIN, set(CHAIN), january(10, 12), lambda _: ALL)
    runs = group_into_runs(CHAIN, {name: [window] for name, window in windows.items()})
    assert runs == [
        PlannedRun(("raw", "stg"), january(9, 13)),
        PlannedRun(("int",), january(10, 13)),
        PlannedRun(("mart",), january(9, 13)),
        PlannedRun(("other",), january(10, 12)),
    ]


def test_a_chain_of_one_window_is_one_run() -> None:
    runs = group_into_runs(CHAIN, {name: [january(5, 5)] for name in CHAIN})
    assert runs == [PlannedRun(tuple(CHAIN), january(5, 5))]


def test_days_with_gaps_are_a_window_for_each_span() -> None:
    days = [date(2025, 1, n) for n in (7, 3, 4, 5, 9)]
    assert contiguous(days) == [january(3, 5), january(7, 7), january(9, 9)]


def test_a_range_is_one_run_of_the_same_days_for_all() -> None:
    windows = tied_windows(CHAIN, set(CHAIN), january(10, 12), lambda _: ALL)
    assert group_into_runs(CHAIN, same_window(windows)) == [PlannedRun(tuple(CHAIN), january(9, 13))]
    assert same_window({}) == {}
