"""What an API is asked for, and how its answers are read: one declarative spec for each kind of pull."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from analytics_assets.spec.pagination import Pagination
from analytics_assets.spec.source import Source


@dataclass(frozen=True)
class RateLimit:
    """How an API says, beside the status 429, that it was asked too often. Then it is waited for, and asked again.

    Attributes:
        statuses: they say so where `Retry-After` comes with them, or the header `remaining` with a 0.
        remaining: the header with the number of requests that are left.
        reset: the header that says when there are some again, where `Retry-After` is lacking: seconds, or a Unix time.
        errors: by member of the body the values that say so, whatever the status: `{"error.code": ("17", "32")}`.
    """

    statuses: tuple[int, ...] = (403,)
    remaining: str = "X-RateLimit-Remaining"
    reset: str = "X-RateLimit-Reset"
    errors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Endpoint:
    """What is asked for, and where in an answer what is wanted stands.

    Attributes:
        path: below the API's address.
        pagination: how pages follow each other.
        records: the member of the body that holds the records; dots lead into it: `data.list`. Empty: the body is them.
        key_header: the header that holds the key.
        key_prefix: what stands before the key there, as `Bearer ` with its space.
        key_parameter: the parameter of the address that holds the key, in place of a header.
        headers: of every request, as the version of an API.
        parameters: of every request.
        errors: members of the body which, where they say something, make an error of an answer with status 200.
        rate_limit: how the API says that it was asked too often.
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
        source: whose files the pulls are; the asset is `<source>_extract`.
        endpoint: what is asked for.
        since: the parameter that asks for records that changed at that time or later; empty where the API knows none,
            and gives everything with each pull.
        changed: the source's column that says when a record was last changed.
        pulled: the source's column that says when the pull began that brought it.
        page: the source's column for the number of its page in that pull: of versions of one time, the last is newest.
        since_is_unix: whether that time is asked for in seconds since 1970, and not as 2026-01-05T00:00:00Z.
    """

    source: Source
    endpoint: Endpoint
    since: str
    changed: str
    pulled: str = "pulled_at"
    page: str = "page"
    since_is_unix: bool = False

    def asks_since(self, since: str) -> dict[str, str]:
        """The parameter for a time, which is kept as 2026-01-05T00:00:00Z."""
        if not self.since:
            return {}
        spelled = str(int(datetime.fromisoformat(since).timestamp())) if self.since_is_unix else since
        return {self.since: spelled}

    @property
    def asset(self) -> str:
        """The name of its asset."""
        return f"{self.source.name}_extract"
