"""What starts work, and what each source sets in motion, as Markdown: from sensors, schedules, mappings and pools."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_

from dagster import AssetsDefinition, Definitions

from analytics_assets.foundation.plain_text import markdown_table
from analytics_assets.foundation.words import plural
from analytics_assets.partitions import PartitionOffsets, Read
from analytics_assets.project import Project
from analytics_assets.spec.model_node import ModelNode
from analytics_assets.spec.source import Source

OWN_DAY = PartitionOffsets()
"""The same day."""


@dataclass(frozen=True)
class Tie:
    """Which days of an asset a row changes.

    Attributes:
        days: counted from the row's own day; None if it is only found by key.
        keys: the columns by which rows of other days find it.
        around: which days around those with its keys, too.
    """

    days: PartitionOffsets | None = OWN_DAY
    keys: frozenset[str] = frozenset()
    around: PartitionOffsets = OWN_DAY

    def beyond(self, read: Read) -> "Tie":
        """The days of an asset that reads those of this tie."""
        if read.is_by_key:
            return Tie(None, self.keys | {", ".join(read.key)}, self.around)
        days = None if self.days is None else _read_in(self.days, read)
        return Tie(days, self.keys, _read_in(self.around, read) if self.keys else OWN_DAY)

    def __or__(self, other: "Tie") -> "Tie":
        days = [tie.days for tie in (self, other) if tie.days is not None]
        around = _all_of([tie.around for tie in (self, other)])
        return Tie(_all_of(days) if days else None, self.keys | other.keys, around)

    def __str__(self) -> str:
        said = []
        if self.days == OWN_DAY:
            said.append("its own day")
        elif self.days is not None:
            said.append(", ".join(["its own day", *_beside(self.days)]))
        if self.keys:
            found = f"days with its {' or '.join(f'`{key}`' for key in sorted(self.keys))}"
            beside = _beside(self.around)
            said.append(f"{found}, and {' and '.join(beside)} them" if beside else found)
        return "; ".join(said)


def _read_in(days: PartitionOffsets, read: Read) -> PartitionOffsets:
    """The days of an asset whose spans hold some days of what it reads."""
    return PartitionOffsets(
        None if days.start is None or read.days.end is None else days.start - read.days.end,
        None if days.end is None or read.days.start is None else days.end - read.days.start,
    )


def _all_of(spans: list[PartitionOffsets]) -> PartitionOffsets:
    """The span that holds some spans."""
    starts, ends = [one.start for one in spans], [one.end for one in spans]
    return PartitionOffsets(
        None if None in starts else min(start for start in starts if start is not None),
        None if None in ends else max(end for end in ends if end is not None),
    )


def _beside(days: PartitionOffsets) -> list[str]:
    """The days before and after those that a span is counted from, in words."""
    sides = (("before", None if days.start is None else -days.start), ("after", days.end))
    return [f"all {side}" if count is None else f"{plural(count, 'day')} {side}" for side, count in sides if count != 0]


def ties_of(project: Project) -> Mapping[str, Mapping[str, Tie]]:
    """For each model with days, by the sources that it is made from: which of its days a row of the source changes."""
    manifest = project.manifest
    raw = {source.raw_asset: source.name for source in project.sources}

    @cache
    def ties(model: str) -> Mapping[str, Tie]:
        found: dict[str, Tie] = {}
        for read in manifest.reads_of(manifest.made[model]):
            if read.asset in raw:
                above: Mapping[str, Tie] = {raw[read.asset]: Tie()}
            else:
                node = manifest.made.get(read.asset)
                above = ties(node.name) if node is not None and node.has_days else {}
            for source, tie in above.items():
                beyond = tie.beyond(read)
                found[source] = found[source] | beyond if source in found else beyond
        return found

    return {node.name: ties(node.name) for node in manifest.models if node.has_days}


def timetable(definitions: Definitions, project: Project) -> str:
    """Three tables: what starts work and when; what a row of each source sets in motion; what waits for what."""
    return "\n\n".join([_starts(definitions), _set_in_motion(project), _pools(definitions)])


def _starts(definitions: Definitions) -> str:
    repository = definitions.get_repository_def()
    sensors = [
        (f"sensor `{sensor.name}`", "all day, within seconds", sensor.description or "")
        for sensor in sorted(repository.sensor_defs, key=lambda one: one.name)
    ]
    schedules = [
        (f"schedule `{one.name}`", f"`{one.cron_schedule}` {one.execution_timezone or 'UTC'}", one.description or "")
        for one in sorted(repository.schedule_defs, key=lambda one: one.name)
    ]
    return markdown_table(("what starts work", "when", "what it does"), [*sensors, *schedules])


def _set_in_motion(project: Project) -> str:
    ties, readers, rows = ties_of(project), _readers(project), []
    behind = _sources_behind(project)
    for domain in sorted(project.domains, key=lambda one: one.name):
        for source in domain.sources:
            made = [node for node in project.manifest.models if source.name in behind[node.unique_id]]
            public = [f"`{name}`" for name in sorted(node.name for node in made if node.is_public and node.has_days)]
            if views := sum(node.is_public and not node.has_days for node in made):
                public.append(plural(views, "view or function", "views and functions"))
            tied = [ties[node.name][source.name] for node in made if source.name in ties.get(node.name, {})]
            needed = sorted({report for node in made for report in readers[node.unique_id]})
            rows.append(
                (
                    f"`{source.name}`",
                    domain.name,
                    _delivered(source),
                    ", ".join(public) or "none",
                    str(reduce(or_, tied)) if tied else "none",
                    ", ".join(needed) or "none",
                )
            )
    headings = ("source", "domain", "a row stands on the day of", "public models made from it", "days that it changes")
    return markdown_table((*headings, "reports that need it"), rows)


def _sources_behind(project: Project) -> Mapping[str, frozenset[str]]:
    """The sources that each model is made from, however far up, by its unique id."""
    manifest = project.manifest

    @cache
    def behind(unique_id: str) -> frozenset[str]:
        if unique_id.startswith("source."):
            return frozenset({manifest.source_of(unique_id)})
        return frozenset(
            source
            for one in manifest.nodes[unique_id].reads
            if one.startswith("source.") or one in manifest.nodes
            for source in behind(one)
        )

    return {node.unique_id: behind(node.unique_id) for node in manifest.models}


def _delivered(source: Source) -> str:
    return f"its `{source.time}`" if source.time else f"its {source.kind.value}"


def _readers(project: Project) -> Mapping[str, set[str]]:
    """The reports that show something of a model, by its unique id."""
    nodes, found = project.manifest.nodes, defaultdict[str, set[str]](set)

    def note(node: ModelNode, report: str) -> None:
        if report not in found[node.unique_id]:
            found[node.unique_id].add(report)
            for one in node.reads:
                if one in nodes:
                    note(nodes[one], report)

    for domain in project.domains:
        for report in domain.reports:
            reads = {dataset.model for part in report.parts for dataset in part.datasets}
            for name in project.models_behind(sorted(reads)):
                note(project.manifest.made[name], report.name)
    return found


def _pools(definitions: Definitions) -> str:
    steps, assets = defaultdict[str, set[str]](set), defaultdict[str, int](int)
    for one in definitions.resolve_asset_graph().assets_defs:
        if isinstance(one, AssetsDefinition) and one.is_executable:
            for pool in one.node_def.pools or {"none: side by side"}:
                steps[pool].add(one.node_def.name)
                assets[pool] += len(list(one.keys))
    rows = [
        (f"`{pool}`" if " " not in pool else pool, str(len(steps[pool])), str(assets[pool])) for pool in sorted(steps)
    ]
    return markdown_table(("pool", "steps", "assets"), rows)
