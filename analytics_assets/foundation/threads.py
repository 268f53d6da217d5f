"""Does work that mostly waits for the disk in a few threads."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_THREADS = 4


def in_threads(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """The results of some work on each of some items, in their order.

    The first error, or an interruption, is raised once the work that has begun is done; no other work begins.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="writer") as threads:
        started = [threads.submit(work, item) for item in items]
        try:
            return [one.result() for one in started]
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
