from collections.abc import Iterator

import pytest

from analytics_assets.foundation import watching


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    found = Clock()
    monkeypatch.setattr(watching, "time", found)
    yield found


@pytest.mark.parametrize(
    ("seconds", "every", "a_look_takes", "begin_at"),
    [
        (0, 1, 0, [0]),  # without time to watch
        (4, 1, 0, [0, 1, 2, 3]),
        (4, 0.5, 0.25, [0, 1.25, 2.5, 3.75]),  # a fifth of the time
        (4, 0.5, 3, [0]),  # the next one would begin after the end
    ],
)
def test_looks_take_a_fifth_of_the_time_and_end_with_it(
    clock: Clock, seconds: float, every: float, a_look_takes: float, begin_at: list[float]
) -> None:
    begun = []
    for _ in watching.looks(seconds, every):
        begun.append(clock.now)
        clock.sleep(a_look_takes)
    assert begun == begin_at
