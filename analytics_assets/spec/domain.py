"""What a domain is: one kind of work, all that it brings along."""

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
    """One kind of work. It is found by being there: `defs/<name>/__init__.py` names one `DOMAIN`.

    Commands of its own are the Typer app `commands` in `defs/<name>/commands.py`; `analytics-assets` shows them.

    Attributes:
        name: also the folder of its dbt models, and the group of its assets.
        owner: who answers for its assets, as `team:<name>` or a mail address.
        sources: what lands for it.
        extracts: the APIs that are pulled for it; each drops files of one of the sources.
        reports: what people look at.
        simulate: writes sample files of its sources into the inbox; a domain can do without.
        demo: serves what the demo pulls from, as long as its block lasts; gives environment variables that say where.
        definitions: assets, checks, resources, schedules and whatever else Dagster knows, of its own.
    """

    name: str
    owner: str
    sources: Sequence[Source] = ()
    extracts: Sequence[Extract] = ()
    reports: Sequence[Report] = ()
    simulate: Callable[[Path, Window, float, Random], None] = lambda inbox_dir, window, scale, random: None
    demo: Callable[[Window], AbstractContextManager[Mapping[str, str]]] | None = None
    definitions: "Callable[[Project], Definitions] | None" = None
