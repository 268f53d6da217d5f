import time

import pytest

from analytics_assets.foundation.threads import in_threads


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
        time.sleep(0.1)
        done.append(item)

    with pytest.raises(OSError, match="no space left"):
        in_threads(work, range(50))
    assert len(done) < 49, "some never began"
