"""The variables of a plain `dbt …` typed in dbt_project/: the plugin that dbt_project/profiles.yml names.

The project's own dbt runs pass their variables, and this plugin adds nothing to them. `dbt show` and the like pass
none: they then read the configured warehouse and raw days, on the newest day, and write nothing to production.
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.flags import get_flags
from dbt_common.exceptions import DbtRuntimeError
from pydantic import ValidationError

from analytics_assets.dbt.invocation import WRITING, why_not_in_production
from analytics_assets.settings import Settings, get_settings

if TYPE_CHECKING:
    from analytics_assets.partitions import Calendar

WITHOUT_ROWS = ("compile", "generate", "debug")
"""The commands that need a database, but no rows in it."""


class Plugin(BasePlugin):
    """A plugin of dbt-duckdb: it is called before a database is opened, and for each connection and cursor."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Chooses the warehouse and the raw days, unless the run named them.

        Args:
            plugin_config: from profiles.yml; `warehouse_file` and `sources` are empty if the run did not pass them.

        Raises:
            DbtRuntimeError: the command cannot work this way; the message says what to type instead.
        """
        self._reads_only = self._is_made_up = False
        self._lacks_values = not plugin_config["sources"]
        if not plugin_config["warehouse_file"]:
            self._choose(_settings(), str(get_flags().WHICH))

    def _choose(self, settings: Settings, command: str) -> None:
        if self.creds is None:
            raise DbtRuntimeError("dbt-duckdb no longer tells its plugins of the profile")
        is_production = self.creds.schema == "main"
        if reason := why_not(command, settings, is_production=is_production):
            raise DbtRuntimeError(reason)
        self._is_made_up = not settings.warehouse_file.exists()
        self._reads_only = is_production and not self._is_made_up
        self.creds.path = ":memory:" if self._is_made_up else str(settings.warehouse_file)
        self.creds.settings = {
            **(self.creds.settings or {}),
            "memory_limit": settings.duckdb_memory_limit,
            "file_search_path": str(settings.raw_dir),
        }

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        """Opens production read-only."""
        if self._reads_only:
            config["access_mode"] = "read_only"

    def configure_connection(self, conn: Any) -> None:
        """If there is no warehouse yet, attaches an empty database under its name, which compiled SQL uses."""
        if self._is_made_up and self.creds is not None:
            conn.execute(f"attach ':memory:' as \"{self.creds.database}\"")

    def configure_cursor(self, cursor: Any) -> None:
        """Gives the macros the variables that the run did not pass: see `given` in macros/window.sql."""
        if self._lacks_values:
            cursor.execute("set variable project_values = ?", [json.dumps(values())])


def why_not(command: str, settings: Settings, *, is_production: bool) -> str | None:
    """One sentence on what to type instead of a dbt command; None if the command works."""
    if command in WRITING and is_production:
        of_your_own = (
            "add `--target dev`"
            if settings.warehouse == "duckdb"
            else f"set ANALYTICS_DBT_TARGET=dev and type `analytics-assets dbt -- {command} …`"
        )
        return f"{why_not_in_production(command)} or {of_your_own} to write a schema of your own."
    if settings.warehouse != "duckdb":
        return (
            f"The warehouse is {settings.warehouse}, and dbt alone is not told where that is:"
            f" type `analytics-assets dbt -- {'docs generate' if command == 'generate' else command} …` instead."
        )
    if command not in WITHOUT_ROWS and not settings.warehouse_file.exists():
        return (
            f"`dbt {command}` reads the warehouse, and there is none yet: type `make demo`, or drop files into the"
            " inbox and type `analytics-assets materialize --new`."
        )
    return None


@cache
def values() -> Mapping[str, Any]:
    """The variables that one of the project's own runs would pass, with the newest raw day as the window."""
    from analytics_assets.dbt.project import last_manifest
    from analytics_assets.dbt.variables import meta_vars, project_vars, window_vars
    from analytics_assets.defs import domains_in_use
    from analytics_assets.partitions import Window, all_days

    settings = _settings()
    domains = domains_in_use(settings)
    calendar = all_days(settings, [domain.calendar for domain in domains])
    newest = newest_raw_day(settings, calendar)
    window = Window(newest, newest + timedelta(days=1))
    sources = [source for domain in domains for source in domain.sources]
    return {**project_vars(settings, sources, calendar), **meta_vars(last_manifest(settings)), **window_vars(window)}


def newest_raw_day(settings: Settings, calendar: "Calendar") -> date:
    """The newest day with raw files; the last day that has a partition if there are none."""
    first, last = (
        calendar.first_day(settings),
        calendar.last_day(settings) or datetime.now(UTC).date() - timedelta(days=1),
    )
    names = (folder.name.rpartition("=")[2] for folder in settings.raw_dir.glob("raw_*/*"))
    found = [day for name in names if (day := _date(name)) and first <= day <= last]
    return max(found, default=last)


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _settings() -> Settings:
    try:
        return get_settings()
    except ValidationError as error:
        raise DbtRuntimeError(f"A setting is wrong; `analytics-assets status` says more: {error}") from error
