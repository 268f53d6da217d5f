"""Touches and revenue for the users of a file that somebody has, where the other two files cannot be had."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from analytics_assets.defs.attribution.simulator import Rows, User, add_activity
from analytics_assets.defs.attribution.sources import REVENUE_AND_REWARDS, USER_TOUCHPOINTS, USERS
from analytics_assets.partitions import Window
from analytics_assets.simulation.defects import Row
from analytics_assets.simulation.files import write_rows


def write_activity(file: Path, inbox_dir: Path, last_day: date | None, seed: int) -> dict[Path, int]:
    """Writes `user_touchpoints-simulated.csv` and `revenue_and_rewards-simulated.csv`, without defects.

    Args:
        last_day: the last day of the activity; None for that of the last install. The first is that of the first one.

    Returns:
        The files, and the rows of each.

    Raises:
        ValueError: the file lacks a column, has no rows, holds a time that is none, or nobody installed by last_day.
    """
    users = read_users(file)
    installs = [user.installed_at.date() for user in users]
    if last_day is not None and last_day < min(installs):
        raise ValueError(f"the first install of {file.name} is of {min(installs)}, after {last_day}")
    window = Window.of_days(min(installs), last_day or max(installs))
    touches: Rows = {day: [] for day in window.days()}
    revenue: Rows = {day: [] for day in window.days()}
    for user in users:
        add_activity(user, window, seed, touches, revenue)
    written = {}
    for source, by_day in ((USER_TOUCHPOINTS, touches), (REVENUE_AND_REWARDS, revenue)):
        rows = [row for of_day in by_day.values() for row in of_day]
        path = inbox_dir / source.name / f"{source.name}-simulated.csv"
        write_rows(path, rows, source.columns)
        written[path] = len(rows)
    return written


def read_users(file: Path) -> list[User]:
    """The users of a CSV file, each once, in the version that was updated last."""
    rows = pl.read_csv(file, infer_schema=False)
    if lacking := sorted(set(USERS.columns) - set(rows.columns)):
        raise ValueError(f"{file.name} lacks {', '.join(lacking)}")
    if rows.is_empty():
        raise ValueError(f"{file.name} has no rows")
    newest = {row["user_id"]: row for row in rows.sort("updated_at", nulls_last=False).rows(named=True)}
    return [_user(row) for row in newest.values()]


def _user(row: Row) -> User:
    installed_at = datetime.fromisoformat(str(row["installed_at"])).replace(tzinfo=UTC)
    return User(str(row["user_id"]), installed_at, row["channel"] or "unknown", row["campaign"])
