"""Which errors may pass by themselves, and how each is said so that a reader knows what to do.

What may pass (a lock, a full disk, a lost connection) is tried again: by the step within a minute, then by the
automation as `attempts` says. Everything else is not: the same inputs would fail in the same way.
"""

import errno
import re
import sqlite3
from collections.abc import Iterator

from dagster import Failure, RetryRequested

STEP_RETRIES = 2

_TRANSIENT_NUMBERS = {
    errno.EAGAIN, errno.EBUSY, errno.EDQUOT, errno.EINTR, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM,
    errno.ENOSPC, errno.ESTALE, errno.ETIMEDOUT,
}  # fmt: skip

_TRANSIENT_TEXT = re.compile(
    r"could not set lock|conflicting lock|database is locked|database or disk is full|no space left|disk quota"
    r"|out of memory|failed to allocate|input/output error|disk i/o error|too many open files|timed out"
    r"|transaction conflict|connection (reset|refused|aborted)|temporarily unavailable|quota ?exceeded",
    re.IGNORECASE,
)

_ADVICE = (
    (
        re.compile(r"no space left|disk is full|disk quota|failed to offload", re.IGNORECASE),
        "The disk is full: free some space; docs/operate.md says what may be deleted. Nothing is lost, and what was "
        "begun is done again.",
    ),
    (
        re.compile(r"could not set lock|conflicting lock", re.IGNORECASE),
        "The warehouse is open in another program: close it there, and read data/published/analytics.duckdb instead, "
        "which blocks nobody.",
    ),
    (
        re.compile(r"out of memory|failed to allocate", re.IGNORECASE),
        "Raise ANALYTICS_DUCKDB_MEMORY_LIMIT, or make fewer days in one run.",
    ),
)


_DUCKDB_ADVICE = re.compile(r"\. (However, you would be able to open|See also https://duckdb).*", re.IGNORECASE)
"""What DuckDB says about a lock to people at its own prompt."""


def is_transient(error: BaseException | str) -> bool:
    """Whether the same may succeed a little later."""
    if isinstance(error, str):
        return bool(_TRANSIENT_TEXT.search(error))
    return transient_cause(error) is not None


def transient_cause(error: BaseException) -> BaseException | None:
    """What may pass among an error and its causes, the innermost if there are several."""
    found = None
    for one in _with_causes(error):
        number = one.errno if isinstance(one, OSError) else None
        may_pass = isinstance(one, ConnectionError | TimeoutError | MemoryError | sqlite3.OperationalError)
        if may_pass or number in _TRANSIENT_NUMBERS or _TRANSIENT_TEXT.search(str(one)):
            found = one
    return found


def sentence(error: BaseException | str) -> str:
    """What happened, in one line, and what to do about it where that is known."""
    text = error if isinstance(error, str) else f"{error}" or type(error).__name__
    text = " ".join(text.split())
    text = _DUCKDB_ADVICE.sub("", text)
    advice = next((advice for pattern, advice in _ADVICE if pattern.search(text)), None)
    return f"{text.rstrip('.')}. {advice}" if advice else text


def for_dagster(
    reason: str, *, transient: bool, retry_number: int = 0, wait_seconds: float = 0
) -> Failure | RetryRequested:
    """The exception that makes Dagster try the step again, twice as late each time, or that keeps it from it.

    Args:
        reason: the sentence that people read.
        retry_number: how often the step was tried again already.
        wait_seconds: before the first retry.
    """
    if transient and retry_number < STEP_RETRIES:
        return RetryRequested(max_retries=STEP_RETRIES, seconds_to_wait=wait_seconds * 2**retry_number)
    return Failure(description=reason, allow_retries=False)


def reason_of(error: object) -> str:
    """The message of a serialized error that says most, in one line: a step's own sentence, else the innermost."""
    while getattr(error, "cls_name", None) != "Failure" and getattr(error, "cause", None) is not None:
        error = error.cause  # type: ignore[attr-defined]
    text = str(getattr(error, "message", error)).strip()
    if getattr(error, "cls_name", None) == "Failure":
        text = text.partition(": ")[2]
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__
