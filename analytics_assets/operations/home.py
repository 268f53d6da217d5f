"""Dagster's home: created inside the project before anything uses it, and kept."""

import os
from pathlib import Path

from analytics_assets.foundation.files import only_one
from analytics_assets.settings import PROJECT_DIR, Settings


def prepare_dagster_home(settings: Settings) -> Path:
    """Prepares DAGSTER_HOME and points this process to it.

    The first instance on an empty home creates the tables of its storage; two processes that do so at once crash.
    So this function creates them, under a lock, before any other process starts.
    """
    from dagster import DagsterInstance

    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(home)
    with only_one(home / ".prepare.lock"):
        config = home / "dagster.yaml"
        if config.is_symlink() and not config.exists():  # the folder was moved
            config.unlink()
        if config.exists() and config.read_bytes() != (PROJECT_DIR / "dagster.yaml").read_bytes():
            raise ValueError(
                f"DAGSTER_HOME {home} has a dagster.yaml of its own, without what this project needs (its pool, its "
                "launcher); set DAGSTER_HOME to another folder, or link the project's dagster.yaml there"
            )
        if not config.exists():
            config.symlink_to(os.path.relpath(PROJECT_DIR / "dagster.yaml", home))
        prepared = home / ".prepared"
        if not prepared.exists():
            with DagsterInstance.get() as instance:
                instance.get_runs_count()
            prepared.touch()
    return home
