"""Every environment variable that the project reads: its name, its default and what it means.

Nothing else in the project reads settings from the environment. The variables may also stand in a file named `.env`
beside `pyproject.toml`; a variable that the shell exports wins over the file.
"""

import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_DIR = Path(__file__).resolve().parent.parent
DEVELOPER_PREFIX = "dbt_"
"""Prefix of a developer's own schema, and of the folder that holds its records."""


PLAUSIBLE_YEARS = range(1900, 2200)
"""The years of the first and last partition, and of the days that file names tell. No span of days around such a day
leaves the range of a date, and a number in a file name with another year is no date."""


def _plausible(day: date) -> date:
    if day.year not in PLAUSIBLE_YEARS:
        raise ValueError(
            f"{day} is not within {PLAUSIBLE_YEARS[0]} to {PLAUSIBLE_YEARS[-1]}; "
            "a history that goes on has no last day: leave ANALYTICS_END_DATE empty"
        )
    return day


PlausibleDate = Annotated[date, AfterValidator(_plausible)]


def _from_project_dir(path: Path) -> Path:
    """Resolves a relative path from the project's root, whatever the working directory."""
    return (PROJECT_DIR / path.expanduser()).resolve()


ProjectPath = Annotated[Path, AfterValidator(_from_project_dir)]


def _searchable(path: Path) -> Path:
    """DuckDB finds raw days along a comma-separated list of folders, and reads a `?` as the end of a path."""
    return _without(",?", path)


def _in_an_address(path: Path) -> Path:
    """Dagster addresses its databases by URL, in which `?` and `%` have a meaning."""
    return _without("?%", path)


def _without(characters: str, path: Path) -> Path:
    if found := sorted({one for one in str(path) if one in characters or not one.isprintable()}):
        shown = " or ".join(one if one.isprintable() else repr(one) for one in found)
        raise ValueError(f"the path of this folder cannot hold {shown}; choose another one")
    return path


def _http(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().startswith(("http://", "https://")):
        raise ValueError("it should begin with https://")
    return secret


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it should begin with https:// and name a server")
    if parts.username or parts.password or parts.query:
        raise ValueError("it should hold no user, password or parameters; the key stands in a variable of its own")
    return url.rstrip("/")


def _mail_addresses(text: str) -> str:
    for one in filter(None, map(str.strip, text.split(","))):
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", one):
            raise ValueError("it should be mail addresses with commas between them")
    return text


def _names(text: str) -> str:
    for one in filter(None, map(str.strip, text.split(","))):
        if not re.fullmatch(r"\w+", one):
            raise ValueError("it should be names of domains with commas between them")
    return text


class Api(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """How to reach an API, and how many requests it allows."""

    url: Annotated[str, AfterValidator(_address)] = Field(description="Its address, as https://api.example.com/v1.")
    key: SecretStr = Field(description="The key that each request carries.")
    requests: int = Field(600, ge=1, description="The most requests that are sent in any span of `seconds`.")
    seconds: float = Field(60.0, gt=0, description="The span of the budget, in seconds.")
    patience_seconds: float = Field(
        600.0,
        ge=0,
        description="The longest that one page is tried for, with all waits, including those that the API asks for.",
    )
    timeout_seconds: float = Field(30.0, gt=0, description="The longest that the API may be silent within an answer.")
    pull_minutes: float = Field(
        240.0, gt=0, description="The longest that one pull lasts; the next one goes on from where it stopped."
    )
    page_mb: float = Field(100.0, gt=0, description="The most megabytes that one page may have, unpacked.")
    empty_pages: int = Field(
        100, ge=1, description="The most pages without a record that may follow each other and still name a next one."
    )
    overlap_minutes: int = Field(
        60,
        ge=0,
        description="How long before the newest known change a pull begins, to catch what is committed late.",
    )
    sweep_days: float = Field(
        7.0, gt=0, description="How often a pull asks for everything, to catch what is committed even later."
    )


class BigQuery(BaseModel, frozen=True, extra="forbid"):
    """Where in BigQuery the models are, and what a query may cost."""

    project: str = Field(
        pattern=r"^[a-z][a-z0-9:.-]*$",
        description="The project that holds the datasets and pays for the queries; required.",
    )
    dataset: str = Field(
        "analytics",
        pattern=r"^[A-Za-z0-9_]+$",
        description="Begins the names of the datasets: analytics_raw, analytics_marts, …",
    )
    location: str = Field(
        "EU", pattern=r"^[A-Za-z0-9-]+$", description="Where the datasets are made; a dataset stays where it was made."
    )
    key_file: ProjectPath | None = Field(
        None,
        description="The key of a service account; without it Google's application default credentials are used.",
    )
    maximum_bytes_billed: int | None = Field(
        None, ge=1, description="A query that would be billed for more is refused before it runs, at no cost."
    )
    partition_expiration_days: int | None = Field(
        None, ge=1, description="Days after which BigQuery deletes a partition; empty: never."
    )
    api_endpoint: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description="The address of an emulator; then there is no authentication."
    )


class Sheets(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """The account that writes reports into Google Sheets, and who may read them."""

    key_file: ProjectPath = Field(description="The key of a service account; required.")
    folder: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="The folder of Google Drive for the sheets: the end of its address; empty: the account's own.",
    )
    share_with: Annotated[str, AfterValidator(_mail_addresses)] = Field(
        "", description="The mail addresses of those who may read the sheets, with commas between them."
    )
    api_endpoint: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description="The address of a stand-in for Google's APIs."
    )

    @property
    def readers(self) -> list[str]:
        """The addresses of `share_with`."""
        return [one.strip() for one in self.share_with.split(",") if one.strip()]


class Settings(BaseSettings):
    """The settings of one process; the field `data_dir` is read from `ANALYTICS_DATA_DIR`, and so on."""

    model_config = SettingsConfigDict(
        env_prefix="ANALYTICS_",
        env_file=PROJECT_DIR / ".env",
        extra="ignore",
        frozen=True,
        validate_default=True,
        populate_by_name=True,
        env_ignore_empty=True,
        env_nested_delimiter="__",
        hide_input_in_errors=True,  # the wrong value may be a secret
    )

    dagster_home: Annotated[ProjectPath, AfterValidator(_in_an_address)] = Field(
        Path(".dagster"),
        validation_alias="DAGSTER_HOME",
        description="Folder of Dagster's own state: runs, events, logs.",
    )
    data_dir: Annotated[ProjectPath, AfterValidator(_searchable)] = Field(
        Path("data"), description="Folder of all data: inbox/, lake/, warehouse/, published/, exports/."
    )
    start_date: PlausibleDate = Field(
        date(2025, 1, 1), description="First day that has a partition. Rows of earlier days wait, and are counted."
    )
    end_date: PlausibleDate | None = Field(
        None, description="Last day that has a partition, for a history that is closed; empty: always yesterday."
    )
    domains_off: Annotated[str, AfterValidator(_names)] = Field(
        "", description="The domains that are switched off, with commas between their names; their data stay."
    )
    inbox_settle_seconds: float = Field(
        2.0, ge=0, description="Seconds for which a file must not have changed before it is taken from the inbox."
    )
    sensor_watch_seconds: float = Field(
        4.0,
        ge=0,
        le=30,
        description="Seconds for which a tick of a sensor watches for something to do; Dagster starts one every 5 s.",
    )
    follow_inbox_links: bool = Field(
        False, description="Whether inbox/<source> may be a link to a folder; links below it are never followed."
    )
    landing_files_per_run: int = Field(
        500, ge=1, description="The most files that one landing run, or one tick of the sensor, takes per source."
    )
    landing_buffer_mb: int = Field(
        96, ge=1, description="Megabytes of parsed rows that landing holds before it writes them out."
    )
    reject_ratio: float = Field(
        0.05, ge=0, le=1, description="A day or a file with a larger share of rejected rows fails its check."
    )
    retry_wait_seconds: float = Field(
        5.0,
        ge=0,
        description="Seconds before a step that failed for a passing reason is tried again; then twice that.",
    )
    duckdb_memory_limit: str = Field(
        "3GB", description="What DuckDB may take before it spills to disk; the whole process takes up to 1 GB more."
    )
    warehouse: Literal["duckdb", "bigquery"] = Field(
        "duckdb", description="The warehouse: `duckdb` (a file on this machine) or `bigquery`."
    )
    bigquery: BigQuery | None = Field(
        None, description="BigQuery, if it is the warehouse: ANALYTICS_BIGQUERY__PROJECT, …"
    )
    dbt_target: Literal["prod", "dev"] = Field(
        "prod",
        description="dbt target: `prod` (a schema per layer) or `dev` (one schema of a developer's own).",
    )
    user: str = Field(
        "developer", pattern=r"^[A-Za-z0-9_]+$", description="Names the schema of the `dev` target: dbt_<user>."
    )

    webhook_url: Annotated[SecretStr, AfterValidator(_http)] | None = Field(
        None,
        description="Where failures are reported: JSON with a `text`, as the webhooks of Slack and Mattermost take it.",
    )
    port: int = Field(
        3000,
        ge=1,
        le=65_535,
        description="The port of the UI that `make dev` starts; if it is taken, the next free one.",
    )
    ui_url: str = Field(
        "",
        pattern=r"^(https?://|$)",
        description=(
            "Where people reach the UI, which answers under this name and on loopback; links begin with it. "
            "Empty: http://127.0.0.1 and the port."
        ),
    )

    api: dict[str, Api] = Field(
        {},
        description="The APIs to pull, by the source whose files they drop: ANALYTICS_API__<SOURCE>__URL, …",
    )
    pull_from_hour: int = Field(
        6, ge=0, le=23, description="The hour (UTC) after which each API is pulled for the day."
    )

    sheets: Sheets | None = Field(
        None, description="Google Sheets, if reports are written there: ANALYTICS_SHEETS__KEY_FILE, …"
    )

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end_date is not None and self.end_date < self.start_date:
            raise ValueError(f"ANALYTICS_END_DATE is before ANALYTICS_START_DATE: {self.end_date}, {self.start_date}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _ui_is_at_the_port(cls, given: dict[str, object]) -> dict[str, object]:
        return given if given.get("ui_url") else {**given, "ui_url": f"http://127.0.0.1:{given.get('port', 3000)}"}

    @model_validator(mode="after")
    def _bigquery_has_a_project(self) -> Self:
        if self.warehouse == "bigquery" and self.bigquery is None:
            raise ValueError("ANALYTICS_WAREHOUSE is bigquery: set ANALYTICS_BIGQUERY__PROJECT, too")
        return self

    def __hash__(self) -> int:
        """Equal settings have equal hashes; different settings may share one."""
        return hash((self.data_dir, self.dagster_home, self.warehouse, self.dbt_target, self.user))

    @property
    def switched_off(self) -> frozenset[str]:
        """The names of the domains that are switched off."""
        return frozenset(filter(None, map(str.strip, self.domains_off.split(","))))

    @property
    def inbox_dir(self) -> Path:
        """Where people and programs drop files: one folder per source, named after it."""
        return self.data_dir / "inbox"

    @property
    def lake_dir(self) -> Path:
        """Landed pieces, rejects and raw days, as Parquet; and the ledger."""
        return self.data_dir / "lake"

    @property
    def landed_dir(self) -> Path:
        """Immutable Parquet pieces, one folder per source and day."""
        return self.lake_dir / "landed"

    @property
    def rejects_dir(self) -> Path:
        """Rejected rows with their reasons, as Parquet: at least one file per dropped file that has any."""
        return self.lake_dir / "rejects"

    @property
    def raw_dir(self) -> Path:
        """Raw days, one Parquet file per source and day."""
        return self.lake_dir / "raw"

    @property
    def of_developer(self) -> str:
        """The name of what belongs to a developer alone; empty in production."""
        return "" if self.dbt_target == "prod" else f"{DEVELOPER_PREFIX}{self.user}"

    @property
    def warehouse_dir(self) -> Path:
        """The DuckDB warehouse, if that is used; for either warehouse, its build records and what dbt compiled."""
        folder = self.data_dir / "warehouse"
        if self.bigquery is None or self.warehouse == "duckdb":
            return folder / self.of_developer
        place, dataset = self.bigquery, self.of_developer or self.bigquery.dataset
        parts = [
            place.project.replace(":", "."),
            dataset,
            place.location,
            *(["emulator"] if place.api_endpoint else []),
        ]
        return folder / "bigquery" / ".".join(parts)

    @property
    def warehouse_file(self) -> Path:
        """The DuckDB database that dbt writes."""
        return self.data_dir / "warehouse" / "analytics.duckdb"

    @property
    def published_file(self) -> Path:
        """The read-only copy of the marts, for people and BI tools; its name lets views find their own database."""
        return self.data_dir / "published" / self.warehouse_file.name

    @property
    def published_records_dir(self) -> Path:
        """Where it is recorded which days the published copy holds: of a developer's schema apart from the others."""
        return self.published_file.parent / self.of_developer

    @property
    def exports_dir(self) -> Path:
        """Where reports are written: a developer's apart from the others."""
        return self.data_dir / "exports" / self.of_developer

    @property
    def exports_url(self) -> str:
        """Where the UI's server shows the reports, below its own address: /exports."""
        return f"{urlsplit(self.ui_url).path.rstrip('/')}/exports"


def is_secret(variable: str) -> bool:
    """Whether the value of a variable must never be shown; an address may hold a password, too."""
    return variable == "ANALYTICS_WEBHOOK_URL" or variable.startswith("ANALYTICS_API")


@cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
