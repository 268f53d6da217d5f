import time

import pytest

from analytics_assets.foundation.threads import in_threads
from analytics_assets.foundation.watching import looks


def test_results_come_in_the_order_of_the_items() -> None:
    def work(item: int) -> int:
        time.sleep(0.01 * (5 - item))
        return item * 2

    assert in_threads(work, range(5)) == [0, 2, 4, 6, 8]


def test_after_an_error_no_other_work_begins() -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == 1:
            raise OSError("no space left")
        time.sleep(0.05)
        done.append(item)

    with pytest.raises(OSError, match="no space left"):
        in_threads(work, range(50))
    assert len(done) < 10


def test_a_slow_look_is_the_only_one() -> None:
    started = time.monotonic()
    for _ in looks(0.2, every=0.01):
        time.sleep(0.1)
    assert time.monotonic() - started < 0.2


def test_without_time_to_watch_there_is_one_look() -> None:
    assert len(list(looks(0, every=0.1))) == 1
    assert 3 <= len(list(looks(0.2, every=0.05))) <= 4
