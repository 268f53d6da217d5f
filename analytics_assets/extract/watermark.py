"""The newest change in the staging table of an API's source: the next pull requests changes from there on.

Any day can change, old ones too, so no span of days is sure to hold the newest change. But a day that was not made
again has the same newest change as before: it is cached by day, with the day's version, and only other days are read.
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
"""By day, the version that was read and its newest change; None if none of its rows was pulled."""


def newest_change(extract: Extract, project: Project) -> datetime | None:
    """The newest change in the source's staging table; None if it holds no pulled row.

    If a change claims to be later than its pull, the start of that pull counts instead, so that no change in between
    is skipped.
    """
    model, settings = f"stg_{extract.source.name}", project.settings
    built = {day: build.version for day, build in builds_of_model(model, settings).read(model, EVER).items()}
    file = settings.lake_dir / "extracts" / extract.source.name / "watermark.json"
    with only_one(file.with_name(".watermark.lock")):
        known = _kept(file)
        others = contiguous(day for day, version in built.items() if day not in known or known[day][0] != version)
        try:
            found = _read(extract, project, model, others)
        except NotMade:  # somebody dropped the table; its future rows are unknown
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
    """The newest change of each day of some windows; days without a pulled row are left out."""
    if not windows:
        return {}
    warehouse, node = project.warehouse, project.manifest.made[model]
    changed, pulled = warehouse.quoted(extract.changed), warehouse.quoted(extract.pulled)
    with warehouse.reading() as reader:
        found = reader.rows(
            f"select {node.day}, max(least(coalesce({changed}, {pulled}), {pulled})) as newest"
            f" from {node.relation_name} where ({on_days(node.day, windows)})"
            f" and {pulled} is not null group by {node.day}"  # files that people drop say nothing about pulls
        )
    return {day: newest.replace(tzinfo=UTC) for day, newest in found.rows if newest}


def _kept(file: Path) -> Known:
    try:
        rows = json.loads(file.read_text())
        return {
            date.fromisoformat(day): (version, datetime.fromisoformat(newest) if newest else None)
            for day, (version, newest) in rows.items()
        }
    except (FileNotFoundError, ValueError, TypeError, AttributeError):  # if it is damaged, every day is read again
        return {}


def _keep(file: Path, known: Known) -> None:
    rows = {str(day): [version, newest.isoformat() if newest else None] for day, (version, newest) in known.items()}
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(rows))
