"""Looks again and again for a while: for sensors, whose ticks Dagster starts only every five seconds."""

import time
from collections.abc import Iterator


def looks(seconds: float, every: float) -> Iterator[bool]:
    """Yields whether a look is the last one: at once, and then every so many seconds until `seconds` are over."""
    until = time.monotonic() + seconds
    while time.monotonic() + every < until:
        yield False
        time.sleep(every)
    yield True
