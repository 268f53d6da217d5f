"""Which errors are transient, and how to word each error so that a reader knows what to do.

Transient errors (a lock, a full disk, a lost connection, a busy BigQuery) are retried: by the step within a minute,
then by the automation as `attempts` says. Others are not: the same inputs would fail in the same way.
"""

import errno
import re
import sqlite3
from collections.abc import Iterable, Iterator

from dagster import DagsterExecutionInterruptedError, Failure, RetryRequested

from analytics_assets.foundation.files import Damaged

STEP_RETRIES = 2

INTERRUPTS = (KeyboardInterrupt, SystemExit, DagsterExecutionInterruptedError)
"""What Ctrl-C and SIGTERM raise. None of them is an Exception, and whatever they stop may succeed next time."""

INTERRUPTED = "it was interrupted; it is made again"

LONGEST_REASON, LONGEST_ENDING = 500, 180
"""Maximum characters of a reason, and how many of them its ending gets, which may say what to do."""

_TRANSIENT_NUMBERS = {
    errno.EAGAIN, errno.EBUSY, errno.EDQUOT, errno.EINTR, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM,
    errno.ENOSPC, errno.ESTALE, errno.ETIMEDOUT,
}  # fmt: skip

_TRANSIENT_TEXT = re.compile(
    r"could not set lock|conflicting lock|database is locked|database or disk is full|no space left|disk quota"
    r"|out of memory|failed to allocate|input/output error|disk i/o error|too many open files|timed out"
    r"|transaction conflict|connection (reset|refused|aborted)|temporarily unavailable"
    r"|(?-i:QuotaExceeded)|(?<!custom )quota exceeded(?!:| for )"  # a disk's; BigQuery says whose, or `quotaExceeded`
    # As dbt shows BigQuery's errors:
    r"|exceeded rate limits|could not serialize access|due to concurrent update"
    r"|quota exceeded\b.*?\b(concurrent|pending|per (\d+ )?(seconds?|minutes?))\b"
    r"|retrying\b[^.]*?\b(may|should) solve the problem"
    r"|\b(job)?(backendError|internalError|rateLimitExceeded)\b|\btableUnavailable\b"
    r"|\b50[0234] (get|post|put|patch|delete|internal server|bad gateway|service unavailable|gateway time-?out)\b",
    re.IGNORECASE,
)

_TRANSIENT_REASONS = frozenset(
    {
        "backendError", "internalError", "badGateway", "rateLimitExceeded",
        "jobBackendError", "jobInternalError", "jobRateLimitExceeded", "tableUnavailable",
    }
)  # fmt: skip
"""The reasons of BigQuery errors that its documentation says to retry
(cloud.google.com/bigquery/docs/error-messages). `quotaExceeded` is not among them: it also stands for daily limits,
and only its text tells which."""

_TRANSIENT_CODES = frozenset({408, 429, 500, 502, 503, 504})
"""The statuses of transient errors, for answers without a reason, such as a proxy's."""

_TRANSIENT_CLASSES = frozenset(
    {
        "requests.exceptions.ConnectionError", "requests.exceptions.Timeout",
        "requests.exceptions.ChunkedEncodingError", "requests.exceptions.JSONDecodeError",
        "urllib3.exceptions.ProtocolError", "urllib3.exceptions.TimeoutError",
        "http.client.HTTPException", "google.auth.exceptions.TransportError",
    }
)  # fmt: skip
"""What Google's libraries raise for a lost connection. By name, since importing them takes a second."""

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
    (
        re.compile(r"exceeded limit for bytes billed|bytesBilledLimitExceeded", re.IGNORECASE),
        "Raise ANALYTICS_BIGQUERY__MAXIMUM_BYTES_BILLED, or make fewer days in one run.",
    ),
    (
        re.compile(r"default credentials|DefaultCredentialsError|determine credentials", re.IGNORECASE),
        "Run `gcloud auth application-default login`, or name the file of a service account's key in "
        "ANALYTICS_BIGQUERY__KEY_FILE.",
    ),
    (
        # Not "permission denied" alone: errors about files say that, too.
        re.compile(r"access denied: |permission '?bigquery\.|bigquery\.\w+\.\w+ permission", re.IGNORECASE),
        "The account lacks a right: docs/bigquery.md lists those that are needed, and how they are given.",
    ),
    (
        re.compile(r"not found: dataset|not found in location|in different locations", re.IGNORECASE),
        "Make the dataset, or set ANALYTICS_BIGQUERY__LOCATION to where it is: a dataset cannot be moved.",
    ),
    (
        re.compile(r"provided schema does not match", re.IGNORECASE),
        "The spec has other columns now: drop the table and make its days again; the lake holds their rows.",
    ),
)


_DUCKDB_ADVICE = re.compile(r"\. (However, you would be able to open|See also https://duckdb).*", re.IGNORECASE)
"""What DuckDB adds to a lock error for people at its own prompt."""

_DBT_CALLS = re.compile(r" > in macro .*", re.IGNORECASE)
"""The macro calls that dbt appends to an error."""

_SAID_TWICE = re.compile(r"\b\d{3} (?P<said>.+); reason: (?P<reason>\w+)(, location: \S+)?, message: (?P=said)")
"""How Google's client, and so dbt, reports the error of a job: it says the same twice."""


def is_transient(error: BaseException | str) -> bool:
    """Whether a retry may succeed a little later."""
    if isinstance(error, str):
        return bool(_TRANSIENT_TEXT.search(error))
    return transient_cause(error) is not None


def transient_cause(error: BaseException) -> BaseException | None:
    """The transient error among an error and its causes; the innermost if there are several."""
    found = None
    for one in _with_causes(error):
        if _may_pass(one):
            found = one
    return found


def worst(errors: Iterable[Exception]) -> Exception:
    """The error to report of several: the first that will not pass by itself, or else the first."""
    known = list(errors)
    return next((error for error in known if not is_transient(error)), known[0])


def damage_in(error: BaseException) -> Damaged | None:
    """The error among an error and its causes that says that a state file is damaged."""
    return next((one for one in _with_causes(error) if isinstance(one, Damaged)), None)


def _may_pass(error: BaseException) -> bool:
    if (knows := getattr(error, "may_pass", None)) is not None:
        return bool(knows)
    classes = {f"{one.__module__}.{one.__qualname__}" for one in type(error).__mro__}
    if "google.api_core.exceptions.GoogleAPICallError" in classes:
        first = next(iter(getattr(error, "errors", None) or ()), None)
        reason = first.get("reason") if isinstance(first, dict) else None
        return is_transient_at_google(reason or "", str(error), getattr(error, "code", None))
    if "google.auth.exceptions.GoogleAuthError" in classes and getattr(error, "retryable", False):
        return True
    if classes & _TRANSIENT_CLASSES:
        return "certificate" not in str(error).lower()  # an untrusted certificate stays untrusted
    number = error.errno if isinstance(error, OSError) else None
    may_pass = isinstance(error, ConnectionError | TimeoutError | MemoryError | sqlite3.OperationalError)
    return may_pass or number in _TRANSIENT_NUMBERS or bool(_TRANSIENT_TEXT.search(str(error)))


def is_transient_at_google(reason: str, message: str, code: int | None = None) -> bool:
    """Whether a retry may succeed a little later, judged by BigQuery's error.

    Args:
        reason: the reason of the error of a request or a job, such as `backendError`; empty if there is none.
        message: the message of that error.
        code: the status of the answer. It is ignored if there is a reason: Google's client turns every reason that it
            does not know into 500, `bytesBilledLimitExceeded` among them.
    """
    if reason in _TRANSIENT_REASONS or _TRANSIENT_TEXT.search(message):
        return True
    return not reason and code in _TRANSIENT_CODES


_BLAMES_NO_ROW = re.compile(
    r"^\s*(\d{3} )?((compilation|binder|parser|catalog|syntax|permission) error\b"
    r"|unrecognized name|function not found|not found: (table|dataset|function)|no matching signature|access denied"
    r"|query exceeded limit for bytes billed|(custom )?quota exceeded)",
    re.IGNORECASE | re.MULTILINE,  # a cell with such a text is quoted within a line
)


def blames_no_row(message: str) -> bool:
    """Whether dbt's message blames the statement, or a limit, and not the rows of some day."""
    return bool(_BLAMES_NO_ROW.search(message))


def sentence(error: BaseException | str) -> str:
    """What happened, in one line, and what to do about it if that is known."""
    text = error if isinstance(error, str) else f"{error}" or type(error).__name__
    text = " ".join(text.split())
    if hasattr(error, "may_pass"):  # it is about another system, for which there is no advice here
        return text
    text = _SAID_TWICE.sub(r"\g<said> (\g<reason>)", _DBT_CALLS.sub("", _DUCKDB_ADVICE.sub("", text)))
    advice = next((advice for pattern, advice in _ADVICE if pattern.search(text)), None)
    return f"{text.rstrip('.')}. {advice}" if advice and advice not in text else text


def in_brief(reason: str) -> str:
    """A reason cut to LONGEST_REASON: its beginning and its end."""
    if len(reason) <= LONGEST_REASON:
        return reason
    return f"{reason[: LONGEST_REASON - LONGEST_ENDING - 3].rstrip()} … {reason[-LONGEST_ENDING:].lstrip()}"


def said_by_google(error: Exception) -> str:
    """BigQuery's message without the requested address; for other errors, the whole message."""
    first = next(iter(getattr(error, "errors", None) or ()), None)
    if isinstance(first, dict) and first.get("message"):
        return f"{first['message']} ({first.get('reason', getattr(error, 'code', ''))})"
    return f"{type(error).__name__}: {error}"


def for_dagster(
    reason: str, *, transient: bool, retry_number: int = 0, wait_seconds: float = 0
) -> Failure | RetryRequested:
    """RetryRequested, with a delay that doubles each time, or a Failure that allows no retry.

    Args:
        reason: the sentence that people read.
        retry_number: how many retries the step has had.
        wait_seconds: how long to wait before the first retry.
    """
    if transient and retry_number < STEP_RETRIES:
        return RetryRequested(max_retries=STEP_RETRIES, seconds_to_wait=wait_seconds * 2**retry_number)
    return Failure(description=in_brief(reason), allow_retries=False)


def reason_of(error: object) -> str:
    """The most telling message of a serialized error, in one line: a step's own sentence, else the innermost one."""
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
