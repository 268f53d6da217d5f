"""The newest change that staging knows of what an API told: from there on the next pull asks.

Changes come to any day, old ones too, so that no span of days is sure to hold the newest. But a day that was not made
anew holds no other newest change than it did: what was found is kept by day, with the version that the day had, and
only the other days are read.
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from analytics_assets.foundation.files import only_one, replacing
from analytics_assets.partitions import EVER, Window, contiguous
from analytics_assets.project import Project
from analytics_assets.spec.extract import Extract
from analytics_assets.state.builds import builds_of_model
from analytics_assets.warehouse.interface import NotMade, on_days

Known = Mapping[date, tuple[str, datetime | None]]
"""By day, the version of it that was read, and the newest change in it; None where nothing of it was pulled."""


def newest_change(extract: Extract, project: Project) -> datetime | None:
    """The newest change in the source's staging table; None while there is no such row.

    Of a change that is said to be later than the pull that brought it, the start of that pull counts: what changes in
    between is not passed over.
    """
    model, settings = f"stg_{extract.source.name}", project.settings
    built = {day: build.version for day, build in builds_of_model(model, settings).read(model, EVER).items()}
    file = settings.lake_dir / "extracts" / extract.source.name / "watermark.json"
    with only_one(file.with_name(".watermark.lock")):
        known = _kept(file)
        others = contiguous(day for day, version in built.items() if day not in known or known[day][0] != version)
        try:
            found = _read(extract, project, model, others)
        except NotMade:  # somebody dropped the table: what it will hold when it is made again is not known
            return None
        known = {
            day: (version, found.get(day) if any(_holds(days, day) for days in others) else known[day][1])
            for day, version in built.items()
        }
        _keep(file, known)
    return max((newest for _, newest in known.values() if newest), default=None)


def _holds(window: Window, day: date) -> bool:
    return window.start <= day < window.end


def _read(extract: Extract, project: Project, model: str, windows: list[Window]) -> dict[date, datetime]:
    """The newest change of each day of some windows that has any."""
    if not windows:
        return {}
    warehouse, node = project.warehouse, project.manifest.made[model]
    changed, pulled = warehouse.quoted(extract.changed), warehouse.quoted(extract.pulled)
    with warehouse.reading() as reader:
        found = reader.rows(
            f"select {node.day}, max(least(coalesce({changed}, {pulled}), {pulled})) as newest"
            f" from {node.relation_name} where ({on_days(node.day, windows)})"
            f" and {pulled} is not null group by {node.day}"  # what people drop says nothing of what was pulled
        )
    return {day: newest.replace(tzinfo=UTC) for day, newest in found.rows if newest}


def _kept(file: Path) -> Known:
    try:
        rows = json.loads(file.read_text())
        return {
            date.fromisoformat(day): (version, datetime.fromisoformat(newest) if newest else None)
            for day, (version, newest) in rows.items()
        }
    except (FileNotFoundError, ValueError, TypeError, AttributeError):  # damaged: then every day is read again
        return {}


def _keep(file: Path, known: Known) -> None:
    rows = {str(day): [version, newest.isoformat() if newest else None] for day, (version, newest) in known.items()}
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(rows))
