"""How days read days: spans that are closed, or open on a side."""

from datetime import date, timedelta

import pytest
from dagster import AllPartitionMapping, TimeWindowPartitionMapping
from hypothesis import given
from hypothesis import strategies as st

from analytics_assets.automation.run_grouping import tied_windows
from analytics_assets.automation.versions import input_versions
from analytics_assets.partitions import (
    PartitionOffsets,
    Read,
    Window,
    downstream_days,
    is_exact,
    widest_mapping,
)
from analytics_assets.state.builds import Build

JANUARY = Window.of_days(date(2025, 1, 1), date(2025, 1, 31))
DAYS = list(JANUARY.days())
offsets = st.one_of(st.none(), st.integers(-5, 5))
spans = (
    st.tuples(offsets, offsets)
    .filter(lambda span: None in span or span[0] <= span[1])
    .map(lambda s: PartitionOffsets(*s))
)


def in_span(span: PartitionOffsets, day: date, above: date) -> bool:
    since = (above - day).days
    return (span.start is None or span.start <= since) and (span.end is None or since <= span.end)


@given(spans, st.sets(st.sampled_from(DAYS)))
def test_the_days_downstream_of_some_are_those_whose_span_holds_one_of_them(
    span: PartitionOffsets, changed: set[date]
) -> None:
    found = downstream_days([Read("up", span)], lambda _: changed, JANUARY)
    assert found == {day for day in DAYS if any(in_span(span, day, above) for above in changed)}


@given(spans, st.sets(st.sampled_from(DAYS)), st.sampled_from(DAYS))
def test_a_days_inputs_change_with_the_days_of_its_span_and_with_no_others(
    span: PartitionOffsets, built: set[date], changed: date
) -> None:
    def inputs(versions: dict[date, str]) -> dict[date, str]:
        def read(_: str, window: Window) -> dict[date, Build]:
            return {day: Build(version, "") for day, version in versions.items() if window.holds(day)}

        return input_versions([Read("up", span)], JANUARY, read)

    before = inputs(dict.fromkeys(built, "1"))
    after = inputs({**dict.fromkeys(built, "1"), changed: "2"})
    assert {day for day in DAYS if before[day] != after[day]} == {day for day in DAYS if in_span(span, day, changed)}


def test_a_span_that_is_open_reaches_to_the_ends_of_what_a_date_can_be() -> None:
    upstream = {
        "raw": [],
        "stg": [Read("raw", PartitionOffsets(-1, 1))],
        "int": [Read("stg", PartitionOffsets(None, 0))],
    }
    day = Window.of_days(DAYS[10], DAYS[10])
    tied = tied_windows(upstream, set(upstream), day, lambda _: JANUARY)
    assert tied["raw"].start == tied["stg"].start == JANUARY.start
    assert tied["int"].end == JANUARY.end
    assert PartitionOffsets(None, None).upstream_of(day) == Window(date.min, date.max)


@pytest.mark.parametrize(
    ("reads", "mapping", "exact"),
    [
        ([Read("up")], None, True),
        ([Read("up", PartitionOffsets(-1, 0))], TimeWindowPartitionMapping(start_offset=-1), True),
        (
            [Read("up", PartitionOffsets(-1, 0), ("key",), "driver", ("a",))],
            TimeWindowPartitionMapping(start_offset=-1),
            False,
        ),
        ([Read("up", PartitionOffsets(None, 0))], AllPartitionMapping(), False),
        (
            [Read("up"), Read("up", PartitionOffsets(-2, -1), ("key",), "up", ("a",))],
            TimeWindowPartitionMapping(start_offset=-2),
            False,
        ),
    ],
)
def test_dagster_is_told_the_widest_mapping_that_it_has_a_class_for(
    reads: list[Read], mapping: object, exact: bool
) -> None:
    assert widest_mapping(reads) == mapping
    assert is_exact(widest_mapping(reads), reads, "up") is exact


def test_a_span_that_is_moved_by_days_names_them() -> None:
    day = Window.of_days(DAYS[5], DAYS[5])
    assert PartitionOffsets(-2, 1).upstream_of(day) == Window.of_days(DAYS[3], DAYS[6])
    assert PartitionOffsets(-2, 1).downstream_of(day) == Window.of_days(DAYS[5] - timedelta(1), DAYS[7])
