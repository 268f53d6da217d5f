"""How numbers of things are written."""

import pytest

from analytics_assets.foundation.words import listed, plural


@pytest.mark.parametrize(("count", "written"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (9_430, "9,430 rows")])
def test_a_number_and_its_noun_agree(count: int, written: str) -> None:
    assert plural(count, "row") == written


def test_a_noun_may_bring_its_verb() -> None:
    assert [plural(n, "file has", "files have") for n in (1, 3)] == ["1 file has", "3 files have"]


def test_of_many_names_the_first_are_listed() -> None:
    assert [listed(["a", "b", "c"][:n]) for n in (1, 2, 3)] == ["a", "a, b", "a, b and 1 more"]
