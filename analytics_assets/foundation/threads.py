"""Does work that mostly waits for the disk in a few threads."""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_THREADS = 4


def in_threads(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """The results of some work on each of some items, in their order.

    After an error, or an interruption, no other work begins. It is raised once the work that has begun is done.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="writer") as threads:
        started = [threads.submit(work, item) for item in items]
        try:
            wait(started, return_when=FIRST_EXCEPTION)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
    for one in started:
        if not one.cancelled():
            one.result()  # raises its error, before those are asked that never began
    return [one.result() for one in started]
