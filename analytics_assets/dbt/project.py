"""The dbt project as this process uses it: parsed when one of its files changes, kept byte for byte, read once."""

import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from analytics_assets.dbt.invocation import DbtError, invoke
from analytics_assets.dbt.manifest import usable_manifest
from analytics_assets.dbt.model_meta import meta_faults
from analytics_assets.dbt.variables import parse_vars
from analytics_assets.foundation.failures import in_brief, sentence
from analytics_assets.foundation.files import only_one, replacing
from analytics_assets.foundation.hashes import digest
from analytics_assets.settings import PROJECT_DIR, Settings
from analytics_assets.spec.model_node import Manifest

DBT_PROJECT_DIR = PROJECT_DIR / "dbt_project"
PROJECT_FOLDERS = ("models", "macros", "tests", "seeds")


def _target_dir(settings: Settings) -> Path:
    """The folder of dbt's parse results, one per way to name tables.

    So a switch of the warehouse or schema needs no new parse, and two processes that name tables differently never
    read each other's parse.
    """
    folder = DBT_PROJECT_DIR / "target"
    if settings.warehouse == "duckdb" and settings.dbt_target == "prod":
        return folder
    return folder / digest([settings.warehouse, json.dumps(parse_vars(settings), sort_keys=True)])


_PROJECT_FILES = ("dbt_project.yml", "profiles.yml")


def _files() -> list[Path]:
    """The files of the project that dbt reads."""
    found = [DBT_PROJECT_DIR / name for name in _PROJECT_FILES]
    found += [file for folder in PROJECT_FOLDERS for file in (DBT_PROJECT_DIR / folder).rglob("*") if file.is_file()]
    return sorted(found)


def _states() -> list[tuple[Path, int, int, int]]:
    """The state of each file; it changes with every write, even one that restores the old content."""
    return [(file, stat.st_ino, stat.st_ctime_ns, stat.st_size) for file in _files() if (stat := file.stat())]


def fingerprint(settings: Settings) -> str:
    """A hash of the files that dbt parses and the variables that it parses them with."""
    sha = hashlib.sha256(json.dumps([settings.warehouse, parse_vars(settings)]).encode())
    for file in _files():
        sha.update(f"{file.relative_to(DBT_PROJECT_DIR)}\0".encode())
        sha.update(file.read_bytes())
    return sha.hexdigest()


@dataclass(frozen=True)
class Parsed:
    """The project at the time of the parse: runs use only this, whatever happens to the files meanwhile.

    Attributes:
        fingerprint: the fingerprint of the files that were parsed.
        folder: copies of what dbt reads again in each run: the project's variables, its profile, and the seeds.
        manifest: as JSON.
        own_manifest: in dbt's own format.
        faults: what is wrong with the files, if the manifest does not match them.
    """

    fingerprint: str
    folder: Path
    manifest: bytes
    own_manifest: bytes
    faults: Sequence[str]


def prepare_manifest(settings: Settings) -> Parsed:
    """The current project, parsed again only if one of its files has changed.

    If the project does not parse, the manifest is that of the last parse that succeeded; if there is none, that of the
    files that parse without the broken ones.

    Raises:
        DbtError: the project does not parse, and neither does any part of it.
    """
    folder = _target_dir(settings)
    try:
        return _prepared(settings, folder)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        if kept := _kept_of(folder, fingerprint(settings)):
            return kept  # a command that only reads may not be able to lock
        raise


def _prepared(settings: Settings, folder: Path) -> Parsed:
    known, fault = folder / "manifest.fingerprint", folder / "manifest.fault"
    with only_one(folder / ".parse.lock"):
        while True:
            before, current = _states(), fingerprint(settings)
            if kept := _kept_of(folder, current):
                return kept
            for place in (folder / name for name in (_NEWEST, "parses", known.name, fault.name)):
                if place.is_dir() != (place.name == "parses"):  # damaged
                    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
            said, new = [], None
            try:
                new = _parse(settings, DBT_PROJECT_DIR, folder / "parse")
            except DbtError as error:
                if known.exists() and _is_whole(folder):
                    at = datetime.fromtimestamp(known.stat().st_mtime, UTC)
                    why = in_brief(sentence(error))
                    said = [f"{why}. Until that is mended, models are made as they were at {at:%F %H:%M} UTC"]
                else:
                    new, said = _parse_without_broken_files(settings, folder)
            if _states() != before:
                continue  # the files changed during the parse: nobody knows what was parsed
            if new:
                _keep(new, folder)
            with replacing(fault if said else known) as temporary:
                temporary.write_text("\n".join([current, *said]) if said else current)
            if not said:
                fault.unlink(missing_ok=True)


_NEWEST = "newest_parse"
"""The file that names the folder of the newest parse."""

_KEPT = ("manifest.json", "partial_parse.msgpack", *_PROJECT_FILES)
"""The files of a parse that are kept, apart from the seeds."""

KEPT_SECONDS = 30 * 86_400.0
"""How long older parses are kept: a process may use one for days."""


def _keep(parsed: Path, folder: Path) -> None:
    """Copies the files of a parse to a folder of its own, which no other parse touches."""
    for old in (folder / "parses").glob("*"):
        if time.time() - old.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(old)
    copy = folder / "parses" / "new"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for file in _KEPT:
        shutil.copyfile(parsed / file, copy / file)
    if (parsed / "seeds").exists():
        shutil.copytree(parsed / "seeds", copy / "seeds")
    name = _seal(copy)
    shutil.rmtree(folder / "parses" / name, ignore_errors=True)  # the same, but damaged
    copy.rename(folder / "parses" / name)
    with replacing(folder / _NEWEST) as temporary:
        temporary.write_text(name)


def _keep_young(parse: Path) -> None:
    """Counts the age of a parse from now on: that it is the newest shows that it is in use."""
    with suppress(OSError):  # of somebody who may only read
        os.utime(parse)


def _seal(parse: Path) -> str:
    """A hash of the kept files, which is also the parse's name: a damaged parse no longer matches and is redone."""
    files = sorted(file for file in parse.rglob("*") if file.is_file())
    return digest(f"{file.relative_to(parse)} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files)


def _is_whole(folder: Path) -> bool:
    """Whether the newest parse is there and undamaged."""
    name = _read(folder / _NEWEST)
    return name.isalnum() and _seal(folder / "parses" / name) == name


def _kept_of(folder: Path, current: str) -> Parsed | None:
    """The newest parse, if it is of these files."""
    at_fault, *why_at_fault = _read(folder / "manifest.fault").splitlines() or [""]
    if current not in (_read(folder / "manifest.fingerprint"), at_fault) or not _is_whole(folder):
        return None
    return _kept(folder, current, why_at_fault if current == at_fault else ())


def _kept(folder: Path, current: str, faults: Sequence[str]) -> Parsed:
    copy = folder / "parses" / _read(folder / _NEWEST)
    _keep_young(copy)
    manifest, own = (copy / "manifest.json").read_bytes(), (copy / "partial_parse.msgpack").read_bytes()
    return Parsed(current, copy, manifest, own, faults)


@cache
def parsed(settings: Settings) -> Parsed:
    """The project as this process first saw it; it stays the same until the process ends.

    Raises:
        DbtError: it does not parse, and neither does any part of it.
    """
    return prepare_manifest(settings)


def _read(file: Path) -> str:
    """The text of a file; empty if the file does not exist or is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _parse(settings: Settings, project: Path, target: Path) -> Path:
    """Parses a project into a folder, and returns the folder.

    Raises:
        DbtError: it does not parse.
    """
    invoke(["parse", "--target-path", str(target)], parse_vars(settings), settings, write_json=True, project=project)
    shutil.rmtree(target / "seeds", ignore_errors=True)
    for name in _PROJECT_FILES:
        shutil.copyfile(project / name, target / name)
    if (project / "seeds").exists():
        shutil.copytree(project / "seeds", target / "seeds")
    return target


_NAMED_FILE = re.compile(r"\b(?:(?:models|macros|tests|seeds)/)?[\w./-]+\.(?:sql|ya?ml|csv)\b")


_READS = re.compile(r"depends on a node named '(\w+)'")


def _parse_without_broken_files(settings: Settings, folder: Path) -> tuple[Path, list[str]]:
    """Parses a copy of the project, removing each file that dbt names as broken until the rest parses.

    Returns:
        The folder of the manifest, and a sentence for each file that was left out.

    Raises:
        DbtError: dbt names no file of the project.
    """
    copy = folder / "project"
    said: list[str] = []
    left_out: set[str] = set()
    tried: set[Path] = set()
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for name in _PROJECT_FILES:
        shutil.copy(DBT_PROJECT_DIR / name, copy)
    for name in PROJECT_FOLDERS:
        if (DBT_PROJECT_DIR / name).exists():
            shutil.copytree(DBT_PROJECT_DIR / name, copy / name)
    while True:
        try:
            return _parse(settings, copy, folder / "parse"), said
        except DbtError as error:
            places = [
                place for name in _NAMED_FILE.findall(str(error)) for place in (copy / name, copy / "models" / name)
            ]
            broken = next((place for place in places if place.is_file() and place not in tried), None)
            if broken is None:
                raise
            tried.add(broken)
            if broken.suffix == ".sql" and broken.is_relative_to(copy / "models"):
                broken.write_text("{{ config(enabled=false) }}")  # a yml entry for a missing model is an error
            else:
                broken.unlink()
            reads = _READS.search(str(error))
            why = f"it reads {reads[1]}, which is" if reads and reads[1] in left_out else in_brief(sentence(error))
            left_out.add(broken.stem)
            said.append(f"{broken.relative_to(copy)} is left out: {why}")


def load_manifest(settings: Settings) -> Manifest:
    """The manifest for dagster-dbt, read once per process: the usable nodes and the project's `vars`.

    It is empty if nothing parses, so that everything that needs no model goes on. `project_faults` says what is left
    out and why.
    """
    return _loaded(settings)[0]


def project_faults(settings: Settings) -> Sequence[str]:
    """A sentence for each fault of the project: a file, model or test that is left out, or a parse that failed."""
    return _loaded(settings)[1]


def loaded_fingerprint(settings: Settings) -> str:
    """The fingerprint of the files that this process loaded."""
    try:
        return parsed(settings).fingerprint
    except DbtError:
        return fingerprint(settings)


@cache
def _loaded(settings: Settings) -> tuple[Manifest, Sequence[str]]:
    try:
        found = parsed(settings)
    except DbtError as error:
        nothing: dict[str, Any] = {"metadata": {}, **{part: {} for part in _PARTS}}
        return Manifest(nothing), [f"{in_brief(sentence(error))}. No model is made until that is mended"]
    manifest = json.loads(found.manifest)
    variables = yaml.safe_load(_read(found.folder / "dbt_project.yml")).get("vars", {})
    faults = meta_faults(Manifest(manifest), {source["name"] for source in manifest["sources"].values()})
    usable, left_out = usable_manifest(Manifest({**manifest, "vars": variables}), faults)
    return usable, [*found.faults, *left_out]


_PARTS = (
    "nodes", "sources", "macros", "exposures", "metrics", "selectors", "semantic_models", "saved_queries",
    "unit_tests", "child_map", "parent_map", "group_map", "disabled", "docs", "groups",
)  # fmt: skip
"""The parts that dagster-dbt expects in a manifest."""


def last_manifest(settings: Settings) -> Manifest:
    """The manifest of the last parse, for read-only commands: writes nothing; has no nodes if nothing was parsed."""
    folder = _target_dir(settings)
    return Manifest(json.loads(_kept(folder, "", ()).manifest) if _is_whole(folder) else {"nodes": {}})
