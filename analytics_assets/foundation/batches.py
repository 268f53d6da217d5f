"""Cuts what is long into parts."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

_Item = TypeVar("_Item")


def batched(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Consecutive parts of at most `size` items (`itertools.batched`, which Python 3.11 lacks)."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch
