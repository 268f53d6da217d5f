"""Settled projects, each made once and kept on disk: copying one takes 0.15 s, settling one from nothing 5 to 12 s.

A template is named by all that it is made from: the package, the dbt project, the lock of what is installed, the days,
the domains, the settings, and every file of the inbox. Workers and later runs share it; who comes first makes it, under
a lock. What a test patches is no part of that name: only a project as it is may be taken from a template.
"""

import hashlib
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from analytics_assets.dbt import project as dbt
from analytics_assets.dbt import step
from analytics_assets.settings import PROJECT_DIR

if TYPE_CHECKING:
    from analytics_assets_tests.support.project import Project

CACHE = PROJECT_DIR / ".pytest_cache"
FOLDER = CACHE / "settled"
STORAGES = ("run_storage", "event_log_storage")
"""Dagster's databases, which a test's instance holds in memory."""
WHERE_IS_TOLD = ("webhook_url", "ui_url")
"""Settings of which nothing that is made depends."""
KEPT = 200
"""Templates of a kind that are kept; the oldest go first."""


@contextmanager
def kept_folder(folder: Path) -> Iterator[bool]:
    """Locks a template for a block, and tells it whether the template is there; else, what the block made is kept."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if (folder / "whole").exists():
            folder.touch()
            yield True
            return
        shutil.rmtree(folder, ignore_errors=True)
        yield False
        if folder.exists():
            (folder / "whole").touch()
    others = sorted((one for one in folder.parent.iterdir() if one.is_dir()), key=lambda one: one.stat().st_mtime)
    for old in others[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


@cache
def hash_of_code() -> str:
    """A hash of the package and of what it is installed with."""
    sha = hashlib.sha256((PROJECT_DIR / "requirements.lock").read_bytes())
    for file in sorted((PROJECT_DIR / "analytics_assets").rglob("*.*")):
        if file.is_file() and file.suffix != ".pyc":
            sha.update(f"{file.relative_to(PROJECT_DIR)}\0".encode() + file.read_bytes())
    return sha.hexdigest()


def name_of(project: "Project") -> str:
    """What a project will hold once it is settled, as a hash."""
    domains = re.sub(r" at 0x[0-9a-f]+", "", repr(project.domains))
    parts: list[Any] = [
        hash_of_code(),
        dbt.fingerprint(project.settings),
        domains,
        {name: value for name, value in project.changes.items() if name not in WHERE_IS_TOLD},
        project.on,
        project.window,
        step.run_dbt.__name__,  # with checks, or without
    ]
    sha = hashlib.sha256(repr(parts).encode())
    for file in sorted(project.settings.inbox_dir.rglob("*")):
        if file.is_file():
            sha.update(f"{file.relative_to(project.settings.inbox_dir)}\0".encode() + file.read_bytes())
    return sha.hexdigest()[:32]


def database_of(project: "Project", storage: str) -> sqlite3.Connection:
    """One of the databases of a project's Dagster."""
    connection: sqlite3.Connection = getattr(project.instance, storage)._held_conn.connection.driver_connection
    return connection


def settle_from_template(project: "Project", settle: Callable[[], object]) -> None:
    """Puts a settled project in the place of one of which nothing was landed or made yet.

    Args:
        settle: makes the template, in the project's own folder, where there is none.
    """
    assert project.instance.get_runs_count() == 0, "something was made already: settle it"
    template = FOLDER / name_of(project)
    with kept_folder(template) as is_kept:
        if not is_kept:
            settle()
            _keep(project, template)
            return
    shutil.rmtree(project.folder, ignore_errors=True)
    shutil.copytree(template / "data", project.folder)
    for storage in STORAGES:
        with closing(sqlite3.connect(template / f"{storage}.sqlite")) as kept:
            kept.backup(database_of(project, storage))


def _keep(project: "Project", template: Path) -> None:
    shutil.copytree(project.folder, template / "data", ignore=shutil.ignore_patterns("home"))
    for storage in STORAGES:
        with closing(sqlite3.connect(template / f"{storage}.sqlite")) as kept:
            database_of(project, storage).backup(kept)
