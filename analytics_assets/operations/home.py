"""Dagster's home: created inside the project before anything uses it, and kept."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from analytics_assets.foundation.files import Damaged, only_one
from analytics_assets.settings import PROJECT_DIR, Settings

_DATABASES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")

_CHECKED_BYTES = 100_000_000
"""Of a larger database only the header is checked: to read all of it takes seconds."""


def prepare_dagster_home(settings: Settings) -> Path:
    """Prepares DAGSTER_HOME and points this process to it.

    The first instance on an empty home creates the tables of its storage; two processes that do so at once crash.
    So this function creates them, under a lock, before any other process starts.
    """
    from dagster import DagsterInstance

    home = settings.dagster_home
    os.environ["DAGSTER_HOME"] = str(home)
    config, prepared = home / "dagster.yaml", home / ".prepared"
    is_ours = config.exists() and config.read_bytes() == (PROJECT_DIR / "dagster.yaml").read_bytes()
    # A command that only reads may not be able to lock. Somebody may have moved a damaged database aside.
    if is_ours and prepared.exists() and all((home / name).exists() for name in _DATABASES):
        return home
    home.mkdir(parents=True, exist_ok=True)
    with only_one(home / ".prepare.lock"):
        if config.is_symlink() and not config.exists():  # the folder was moved
            config.unlink()
        if config.exists() and config.read_bytes() != (PROJECT_DIR / "dagster.yaml").read_bytes():
            raise ValueError(
                f"DAGSTER_HOME {home} has a dagster.yaml of its own, without what this project needs (its pool, its "
                "launcher); set DAGSTER_HOME to another folder, or link the project's dagster.yaml there"
            )
        if not config.exists():
            config.symlink_to(os.path.relpath(PROJECT_DIR / "dagster.yaml", home))
        if not prepared.exists() or not all((home / name).exists() for name in _DATABASES):
            with DagsterInstance.get() as instance:
                instance.get_runs_count()
            prepared.touch()
    return home


def damage_to_home(settings: Settings) -> Damaged | None:
    """An error that names a database of Dagster's which SQLite cannot read; None if there is none."""
    for file in sorted(settings.dagster_home.rglob("*.db")):
        try:
            with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
                connection.execute("pragma schema_version").fetchone()
                is_small = file.stat().st_size <= _CHECKED_BYTES
                said = connection.execute("pragma quick_check(1)").fetchone()[0] if is_small else "ok"
        except (sqlite3.OperationalError, OSError):  # locked, gone, or not to be read by this user
            continue
        except sqlite3.DatabaseError as error:
            said = str(error)
        if said != "ok":
            return Damaged(
                f"{file} is damaged ({said}): move it aside while Dagster is stopped; Dagster then begins a new history"
                " of its runs, and what is made stays recorded"
            )
    return None
