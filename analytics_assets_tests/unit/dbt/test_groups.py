"""Which models of a run are made together: all of them, until one of them has failed."""

from collections.abc import Mapping

from analytics_assets.dbt.step import _groups
from analytics_assets.partitions import Read

READS: Mapping[str, list[str]] = {
    "stg_a": ["raw_a"],
    "stg_b": ["raw_b"],
    "mart_a": ["stg_a"],
    "mart_b": ["stg_b", "mart_of_another_run"],
    "mart_of_both": ["stg_a", "stg_c"],
    "stg_d": ["raw_a"],
}
UPSTREAM = {name: [Read(one) for one in reads] for name, reads in READS.items()}


def test_all_models_are_one_group_until_a_run_of_them_has_failed() -> None:
    assert _groups(list(READS), UPSTREAM, apart=False) == [list(READS)]
    assert _groups([], UPSTREAM, apart=False) == _groups([], UPSTREAM, apart=True) == []


def test_then_models_that_do_not_read_each_other_are_made_one_after_the_other() -> None:
    groups = _groups(list(READS), UPSTREAM, apart=True)
    assert groups == [["stg_b", "mart_b"], ["stg_a", "mart_a", "mart_of_both"], ["stg_d"]]
    joined = _groups(
        ["stg_a", "stg_b", "both"], {**UPSTREAM, "both": [*UPSTREAM["mart_a"], *UPSTREAM["mart_b"]]}, apart=True
    )
    assert joined == [["stg_a", "stg_b", "both"]]
