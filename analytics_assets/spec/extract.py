"""What to request from an API, and how to read its answers: one declarative spec per kind of pull."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from analytics_assets.spec.pagination import Pagination
from analytics_assets.spec.source import Kind, Source


@dataclass(frozen=True)
class RateLimit:
    """How an API says, apart from status 429, that it got too many requests. The client then waits and retries.

    Attributes:
        statuses: the statuses that say so if `Retry-After` comes with them, or the header `remaining` with a 0.
        remaining: the header with the number of requests that are left.
        reset: the header that says when more are allowed, if `Retry-After` is missing: seconds, or a Unix time.
        errors: by member of the body, the values that say so, whatever the status: `{"error.code": ("17", "32")}`.
    """

    statuses: tuple[int, ...] = (403,)
    remaining: str = "X-RateLimit-Remaining"
    reset: str = "X-RateLimit-Reset"
    errors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Endpoint:
    """What to request, and where an answer holds its records.

    Attributes:
        path: the path below the API's address.
        pagination: how one page leads to the next.
        records: the path to the records in the body, with dots: `data.list`. If empty, the body is the list itself.
        key_header: the header that holds the key.
        key_prefix: what stands before the key in that header, such as `Bearer ` with its space.
        key_parameter: the URL parameter that holds the key, instead of a header.
        headers: headers of every request, such as the API's version.
        parameters: URL parameters of every request.
        errors: members of the body that, if set, turn an answer with status 200 into an error.
        rate_limit: how the API says that it got too many requests.
    """

    path: str
    pagination: Pagination
    records: str = "data"
    key_header: str = "api_key"
    key_prefix: str = ""
    key_parameter: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[str, ...] = ("error", "errors")
    rate_limit: RateLimit = field(default_factory=RateLimit)


@dataclass(frozen=True)
class Extract:
    """A kind of pull, which drops files of a source.

    Attributes:
        source: the source whose files it drops, of facts or of deliveries that are not complete; the asset is
            `<source>_extract`.
        endpoint: what to request.
        since: the parameter that selects records that changed at a time or later; empty if the API has none and
            returns everything with each pull.
        changed: the source's column that says when a record last changed.
        pulled: the source's column that says when the record's pull began.
        page: the source's column for the record's page number in that pull: among versions with the same time, the one
            on the last page is the newest.
        since_is_unix: whether `since` takes seconds since 1970, instead of 2026-01-05T00:00:00Z.
    """

    source: Source
    endpoint: Endpoint
    since: str
    changed: str
    pulled: str = "pulled_at"
    page: str = "page"
    since_is_unix: bool = False

    def __post_init__(self) -> None:
        if self.source.kind is Kind.SNAPSHOT or self.source.complete:
            raise ValueError(f"extract of {self.source.name}: a pull drops only new records, and never the whole list")

    def asks_since(self, since: str) -> dict[str, str]:
        """The request parameter for a time that is given as 2026-01-05T00:00:00Z; none if the API has none."""
        if not self.since:
            return {}
        spelled = str(int(datetime.fromisoformat(since).timestamp())) if self.since_is_unix else since
        return {self.since: spelled}

    @property
    def asset(self) -> str:
        """The name of its asset."""
        return f"{self.source.name}_extract"
