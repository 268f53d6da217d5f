"""Looks again and again for a while: for sensors, whose ticks Dagster starts only every five seconds."""

import time
from collections.abc import Iterator


def looks(seconds: float, every: float) -> Iterator[None]:
    """Yields for each look: at once, and then again until so many `seconds` are over.

    Between two looks are `every` seconds, or four times as long as the first took: looks take a fifth of the time.
    """
    until = time.monotonic() + seconds
    while True:
        started = time.monotonic()
        yield
        now = time.monotonic()
        pause = max(every, 4 * (now - started))
        if now + pause >= until:
            return
        time.sleep(pause)
