"""What a domain is: one kind of work, with everything that belongs to it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from analytics_assets.partitions import Window
from analytics_assets.spec.extract import Extract
from analytics_assets.spec.report import Report
from analytics_assets.spec.source import Source

if TYPE_CHECKING:
    from dagster import Definitions

    from analytics_assets.project import Project


@dataclass(frozen=True)
class Domain:
    """One kind of work. It is found without a list of domains: `defs/<name>/__init__.py` names one `DOMAIN`.

    A domain's own commands are the Typer app `commands` in `defs/<name>/commands.py`; `analytics-assets` shows them.

    Attributes:
        name: also the folder of its dbt models, and the group of its assets.
        owner: who is responsible for its assets, as `team:<name>` or a mail address.
        sources: the files that land for it.
        extracts: the APIs that are pulled for it; each drops files of one of the sources.
        reports: its dashboards, workbooks and sheets.
        simulate: writes sample files of its sources into the inbox; optional.
        demo: serves the API that the demo pulls, as long as its block lasts; yields environment variables that name it.
        definitions: its own assets, checks, resources, schedules and other Dagster definitions.
    """

    name: str
    owner: str
    sources: Sequence[Source] = ()
    extracts: Sequence[Extract] = ()
    reports: Sequence[Report] = ()
    simulate: Callable[[Path, Window, float, Random], None] = lambda inbox_dir, window, scale, random: None
    demo: Callable[[Window], AbstractContextManager[Mapping[str, str]]] | None = None
    definitions: "Callable[[Project], Definitions] | None" = None
