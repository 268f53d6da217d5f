"""dbt in the step's own process: a manifest parsed once, then any number of runs with other windows.

Starting dbt as a program costs several seconds a run, most of it for reading the project again; see
docs/performance.md. Nothing here knows a model by name.
"""

import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import yaml  # type: ignore[import-untyped]
from dagster._utils.interrupts import raise_interrupts_as

from analytics_assets.failures import INTERRUPTS, in_brief, sentence
from analytics_assets.files import only_one, replacing
from analytics_assets.ingest.source import PolarsType, Source
from analytics_assets.partitions import Window
from analytics_assets.plain_text import logger_of
from analytics_assets.settings import PROJECT_DIR, Settings
from analytics_assets.versions import digest
from analytics_assets.warehouse.manifest import usable_manifest
from analytics_assets.warehouse.model_meta import meta_faults
from analytics_assets.warehouse.warehouse import warehouse_of

logger = logger_of(__name__)

DBT_PROJECT_DIR = PROJECT_DIR / "dbt_project"
PROJECT_FOLDERS = ("models", "macros", "tests", "seeds")


class DbtError(Exception):
    """dbt could not do what it was told; the message names the models or tests and what the database said."""


def source_vars(sources: Iterable[Source]) -> dict[str, Any]:
    """What the macros need to know of the sources' specs: key, winner rule and columns of each.

    What most sources do without is named only where there is some: models that read the others stay as they are.
    """
    return {
        source.name: {
            "key": list(source.key),
            "winner": [[w.column, "desc" if w.largest else "asc"] for w in source.winners],
            "columns": list(source.columns),
            "kinds": {name: kind for name, dtype in source.columns.items() if (kind := _kind(dtype))},
            **({"whole": list(source.whole)} if source.whole else {}),
        }
        for source in sources
    }


def _kind(dtype: PolarsType) -> str | None:
    """What kind of values warehouses write differently, as macros/sources.sql calls it; None for all others."""
    if isinstance(dtype, pl.Decimal) and dtype.scale:
        return "decimal"
    return "fraction" if dtype.is_float() else "time" if dtype == pl.Datetime else None


def window_vars(window: Window) -> dict[str, str]:
    """The window as dbt variables; `window_end` is the first day after it."""
    return {"window_start": window.start.isoformat(), "window_end": window.end.isoformat()}


def project_vars(settings: Settings, sources: Iterable[Source]) -> dict[str, Any]:
    """Everything else that the project's models, macros and profile are told."""
    return {
        **_parse_vars(settings),
        **warehouse_of(settings).variables(),
        "first_day": settings.start_date.isoformat(),
        "last_day": settings.end_date.isoformat() if settings.end_date else None,
        "raw_dir": str(settings.raw_dir),
        "sources": source_vars(sources),
    }


# ------------------------------------------------------------------------------------------------------ manifest


def _target_dir(settings: Settings) -> Path:
    """Where dbt leaves what it parsed: a folder for each way to name tables.

    Who goes to and fro between warehouses or schemas parses nothing again, and two processes that name them differently
    do not read what the other one parsed.
    """
    folder = DBT_PROJECT_DIR / "target"
    if settings.warehouse == "duckdb" and settings.dbt_target == "prod":
        return folder
    return folder / digest([settings.warehouse, json.dumps(_parse_vars(settings), sort_keys=True)])


def _parse_vars(settings: Settings) -> dict[str, Any]:
    """What a manifest depends on beside the files: it holds the full names of the tables that models become."""
    return {"target": settings.dbt_target, "user": settings.user, **warehouse_of(settings).naming()}


_PROJECT_FILES = ("dbt_project.yml", "profiles.yml")


def _files() -> list[Path]:
    """What dbt reads of the project."""
    found = [DBT_PROJECT_DIR / name for name in _PROJECT_FILES]
    found += [file for folder in PROJECT_FOLDERS for file in (DBT_PROJECT_DIR / folder).rglob("*") if file.is_file()]
    return sorted(found)


def _states() -> list[tuple[Path, int, int, int]]:
    """What of each file changes with every write, also where it is put back as it was."""
    return [(file, stat.st_ino, stat.st_ctime_ns, stat.st_size) for file in _files() if (stat := file.stat())]


def fingerprint(settings: Settings) -> str:
    """Changes when any file does that dbt parses, or what it is parsed with."""
    sha = hashlib.sha256(json.dumps([settings.warehouse, _parse_vars(settings)]).encode())
    for file in _files():
        sha.update(f"{file.relative_to(DBT_PROJECT_DIR)}\0".encode())
        sha.update(file.read_bytes())
    return sha.hexdigest()


@dataclass(frozen=True)
class Parsed:
    """The project as it was when it was parsed: all that runs are made by, whatever becomes of its files meanwhile.

    Attributes:
        fingerprint: of the files that were looked at.
        folder: copies of what dbt reads anew in each run: the project's variables, its profile, and the seeds.
        manifest: as JSON.
        own_manifest: as dbt keeps it for itself.
        faults: what is the matter with the files, where the manifest is not what they say.
    """

    fingerprint: str
    folder: Path
    manifest: bytes
    own_manifest: bytes
    faults: Sequence[str]


def prepare_manifest(settings: Settings) -> Parsed:
    """The project as it is now, parsed again only if one of its files changed.

    Where the project does not parse, the manifest is that of the last one that did; where there is none, that of the
    files which can be parsed without the others.

    Raises:
        DbtError: the project does not parse, and neither does any part of it.
    """
    folder = _target_dir(settings)
    known, fault = folder / "manifest.fingerprint", folder / "manifest.fault"
    with only_one(folder / ".parse.lock"):
        while True:
            before, current, is_kept = _states(), fingerprint(settings), _is_whole(folder)
            at_fault, *why_at_fault = _read(fault).splitlines() or [""]
            if is_kept and current in (_read(known), at_fault):
                return _kept(folder, current, why_at_fault if current == at_fault else ())
            for place in (folder / name for name in (_NEWEST, "parses", known.name, fault.name)):
                if place.is_dir() != (place.name == "parses"):  # damaged
                    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
            said, new = [], None
            try:
                new = _parse(settings, DBT_PROJECT_DIR, folder / "parse")
            except DbtError as error:
                if is_kept and known.exists():
                    at = datetime.fromtimestamp(known.stat().st_mtime, UTC)
                    why = in_brief(sentence(error))
                    said = [f"{why}. Until that is mended, models are made as they were at {at:%F %H:%M} UTC"]
                else:
                    new, said = _parse_without_broken_files(settings, folder)
            if _states() != before:
                continue  # somebody edits the files: nobody knows what was parsed
            if new:
                _keep(new, folder)
            with replacing(fault if said else known) as temporary:
                temporary.write_text("\n".join([current, *said]) if said else current)
            if not said:
                fault.unlink(missing_ok=True)


_NEWEST = "newest_parse"
"""Holds the name of the folder, among those of the parses that are kept, of the newest one."""

_KEPT = ("manifest.json", "partial_parse.msgpack", *_PROJECT_FILES)
"""What is kept of a parse, beside the seeds."""

KEPT_SECONDS = 30 * 86_400.0
"""So long older parses are kept; a process may work with one for some days."""


def _keep(parsed: Path, folder: Path) -> None:
    """Copies what a parse left to a folder of its own, where no other one touches it."""
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


def _seal(parse: Path) -> str:
    """A hash of what is kept of a parse, byte for byte, which is its name; what was damaged since is parsed again."""
    files = sorted(file for file in parse.rglob("*") if file.is_file())
    return digest(f"{file.relative_to(parse)} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files)


def _is_whole(folder: Path) -> bool:
    """Whether the newest parse is there as it was kept."""
    name = _read(folder / _NEWEST)
    return name.isalnum() and _seal(folder / "parses" / name) == name


def _kept(folder: Path, current: str, faults: Sequence[str]) -> Parsed:
    copy = folder / "parses" / _read(folder / _NEWEST)
    manifest, own = (copy / "manifest.json").read_bytes(), (copy / "partial_parse.msgpack").read_bytes()
    return Parsed(current, copy, manifest, own, faults)


@cache
def parsed(settings: Settings) -> Parsed:
    """The project as this process works on it, from its first look until it ends.

    Raises:
        DbtError: it does not parse, and neither does any part of it.
    """
    return prepare_manifest(settings)


def _read(file: Path) -> str:
    """The text of a file; none where it is not there, or is no text."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _parse(settings: Settings, project: Path, target: Path) -> Path:
    """Parses a project into a folder, which it gives.

    Raises:
        DbtError: it does not parse.
    """
    _invoke(["parse", "--target-path", str(target)], _parse_vars(settings), settings, write_json=True, project=project)
    shutil.rmtree(target / "seeds", ignore_errors=True)
    for name in _PROJECT_FILES:
        shutil.copyfile(project / name, target / name)
    if (project / "seeds").exists():
        shutil.copytree(project / "seeds", target / "seeds")
    return target


_NAMED_FILE = re.compile(r"\b(?:(?:models|macros|tests|seeds)/)?[\w./-]+\.(?:sql|ya?ml|csv)\b")


_READS = re.compile(r"depends on a node named '(\w+)'")


def _parse_without_broken_files(settings: Settings, folder: Path) -> tuple[Path, list[str]]:
    """Parses a copy of the project from which each file is taken that dbt names as broken, until the rest parses.

    Returns:
        Where the manifest is, and a sentence for each file that was left out.

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
                broken.write_text("{{ config(enabled=false) }}")  # what a yml says of a model that is gone is an error
            else:
                broken.unlink()
            reads = _READS.search(str(error))
            why = f"it reads {reads[1]}, which is" if reads and reads[1] in left_out else in_brief(sentence(error))
            left_out.add(broken.stem)
            said.append(f"{broken.relative_to(copy)} is left out: {why}")


def load_manifest(settings: Settings) -> Mapping[str, Any]:
    """The manifest as dagster-dbt wants it, read once a process: what can be used, and the project's `vars`.

    Empty where nothing can be parsed: what needs no model goes on. `project_faults` says what is left out, and why.
    """
    return _loaded(settings)[0]


def project_faults(settings: Settings) -> Sequence[str]:
    """A sentence for each file of the project that is not used as it is."""
    return _loaded(settings)[1]


def loaded_fingerprint(settings: Settings) -> str:
    """The fingerprint of the files that this process loaded."""
    try:
        return parsed(settings).fingerprint
    except DbtError:
        return fingerprint(settings)


@cache
def _loaded(settings: Settings) -> tuple[Mapping[str, Any], Sequence[str]]:
    try:
        found = parsed(settings)
    except DbtError as error:
        nothing: dict[str, Any] = {"metadata": {}, **{part: {} for part in _PARTS}}
        return nothing, [f"{in_brief(sentence(error))}. No model is made until that is mended"]
    manifest = json.loads(found.manifest)
    variables = yaml.safe_load(_read(found.folder / "dbt_project.yml")).get("vars", {})
    faults = meta_faults(manifest, {source["name"] for source in manifest["sources"].values()})
    usable, left_out = usable_manifest({**manifest, "vars": variables}, faults)
    return usable, [*found.faults, *left_out]


_PARTS = (
    "nodes", "sources", "macros", "exposures", "metrics", "selectors", "semantic_models", "saved_queries",
    "unit_tests", "child_map", "parent_map", "group_map", "disabled", "docs", "groups",
)  # fmt: skip
"""What dagster-dbt looks for in a manifest."""


def last_manifest(settings: Settings) -> Mapping[str, Any]:
    """The manifest as it was last parsed, for who only looks: nothing is written; one without nodes if it never was."""
    folder = _target_dir(settings)
    return json.loads(_kept(folder, "", ()).manifest) if _is_whole(folder) else {"nodes": {}}


@cache
def _parsed_manifest(settings: Settings) -> Any:
    """The manifest as dbt's own object, of the same parse."""
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack(parsed(settings).own_manifest)
    for node in manifest.nodes.values():
        if node.resource_type == "seed":
            node.root_path = str(parsed(settings).folder)  # from where dbt-duckdb reads it
    manifest.build_flat_graph()  # what macros see as `graph`
    manifest.build_group_map()
    return manifest


# --------------------------------------------------------------------------------------------------------- versions


def code_versions(manifest: Mapping[str, Any], sources: Iterable[Source]) -> dict[str, str]:
    """For each model and lookup (seed), by its unique id, a hash of all that its rows depend on beside its inputs.

    Of a lookup that is its file. Of a model it is its SQL, the project's macros and variables that it uses, its meta,
    the lookups that it reads, and the spec of a source that it reads.
    """
    variables = manifest.get("vars", {})
    specs = source_vars(sources)
    found = {}
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] == "seed":
            found[unique_id] = digest([node["checksum"]["checksum"]])
        if node["resource_type"] != "model":
            continue
        macros = _macros_of(node, manifest)
        sql = [node["raw_code"], *(manifest["macros"][macro]["macro_sql"] for macro in macros)]
        used = {name for text in sql for name in _VARIABLE.findall(text) if name in variables}
        parts = [*sql, json.dumps(node["config"]["meta"], sort_keys=True)]
        parts += [f"{name}={variables[name]}" for name in sorted(used)]
        for parent in sorted(node["depends_on"]["nodes"]):
            if parent.startswith("seed."):
                parts.append(manifest["nodes"][parent]["checksum"]["checksum"])
            elif parent.startswith("source."):
                parts.append(json.dumps(specs.get(manifest["sources"][parent]["name"]), sort_keys=True))
        found[unique_id] = digest(parts)
    return found


_VARIABLE = re.compile(r"""var\(\s*['"](\w+)""")


def _macros_of(node: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[str]:
    """The project's macros that a model uses, directly or not, with all their variants for other warehouses."""
    own = {name: macro for name, macro in manifest["macros"].items() if macro["package_name"] == "analytics"}
    found: set[str] = set()
    materialization = f"macro.analytics.materialization_{node['config']['materialized']}_"
    waiting = [name for name in own if name in node["depends_on"]["macros"] or name.startswith(materialization)]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        variants = [other for other in own if own[other]["name"].endswith(f"__{own[name]['name']}")]
        waiting += [other for other in (*own[name]["depends_on"]["macros"], *variants) if other in own]
    return sorted(found)


# ----------------------------------------------------------------------------------------------------------- run


@dataclass(frozen=True)
class DbtResult:
    """What became of one model or test.

    Attributes:
        unique_id: dbt's.
        tested: the unique id of the model that a test is attached to.
        status: dbt's: success, pass, error, fail, warn, skipped.
        message: what the database said.
        sql: what was compiled: of a model what makes its rows, of a test what gives those that it objects to.
        costs: what the warehouse says of the work: of BigQuery bytes_processed, bytes_billed, slot_ms, job_id.
    """

    unique_id: str
    name: str
    tested: str | None
    status: str
    message: str
    sql: str | None
    costs: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class DbtRun:
    """What one run of dbt said: its structured log events, as dicts in their order, and the result of each node."""

    events: list[dict[str, Any]] = field(default_factory=list)
    results: list[DbtResult] = field(default_factory=list)

    @property
    def succeeded(self) -> set[str]:
        """Unique ids of the models that were made."""
        return {result.unique_id for result in self.results if result.status == "success"}

    @property
    def failed(self) -> list[DbtResult]:
        """What failed; warnings do not."""
        return [result for result in self.results if result.status in ("error", "fail", "runtime error")]

    @property
    def failures(self) -> dict[str, str]:
        """Name and message of whatever failed."""
        return {result.name: result.message for result in self.failed}

    @property
    def failing_tests(self) -> dict[str, str]:
        """The SQL that gives the rows that a failed or warning test objects to, by the test's name."""
        return {
            result.name: result.sql
            for result in self.results
            if result.tested and result.sql and result.status in ("fail", "warn")
        }


def run_dbt(
    arguments: Sequence[str],
    settings: Settings,
    sources: Iterable[Source],
    window: Window | None = None,
    *,
    quiet: bool = True,
) -> DbtRun:
    """Runs a dbt command in this process on the prepared manifest; `quiet` keeps dbt from printing.

    Raises:
        DbtError: dbt could not even start, say because the warehouse is locked by another process.
    """
    variables = project_vars(settings, sources) | (window_vars(window) if window else {})
    tests = {name: node for name, node in load_manifest(settings)["nodes"].items() if node["resource_type"] == "test"}
    settings.warehouse_dir.mkdir(parents=True, exist_ok=True)
    return _invoke(
        [*arguments, "--target-path", str(settings.warehouse_dir / "dbt_target")],
        variables,
        settings,
        manifest=_parsed_manifest(settings),
        project=parsed(settings).folder,
        attached={name: node["attached_node"] for name, node in tests.items()},
        quiet=quiet,
    )


def _invoke(
    arguments: Sequence[str],
    variables: Mapping[str, Any],
    settings: Settings,
    *,
    project: Path,
    manifest: Any = None,
    attached: Mapping[str, str | None] | None = None,
    write_json: bool = False,
    quiet: bool = True,
) -> DbtRun:
    # Imported here because it takes seconds, and most processes that load the definitions never run dbt.
    from dbt.cli.main import dbtRunner
    from dbt_common.events.functions import msg_to_dict

    run = DbtRun()

    def listen(event: Any) -> None:
        run.events.append(msg_to_dict(event))
        if event.info.name in ("LogModelResult", "LogSeedResult"):
            logger.info(f"{event.data.node_info.node_name}: {event.data.status}, {event.data.execution_time:.1f} s")

    said = ["--quiet", "--log-level", "none"] if quiet else []
    said += ["--log-level-file", "none", "--no-use-colors"]
    places = ["--project-dir", str(project), "--profiles-dir", str(project)]
    places += ["--profile", warehouse_of(settings).profile]
    written = ["--write-json"] if write_json else ["--no-write-json"]
    # Of all that an interruption may raise, this alone makes dbt end its queries and threads; Dagster raises its own.
    with raise_interrupts_as(KeyboardInterrupt):
        result = dbtRunner(manifest=manifest, callbacks=[listen]).invoke(
            [*said, *written, *arguments, *places, "--vars", json.dumps(dict(variables))]
        )
    if isinstance(result.exception, INTERRUPTS):
        raise result.exception
    for node in getattr(result.result, "results", None) or []:
        run.results.append(
            DbtResult(
                unique_id=node.node.unique_id,
                name=node.node.name,
                tested=(attached or {}).get(node.node.unique_id),
                status=str(node.status),
                message=(node.message or "").strip(),
                sql=getattr(node.node, "compiled_code", None),
                costs=node.adapter_response,
            )
        )
    if result.exception is not None:
        raise DbtError(str(result.exception).strip()) from result.exception
    if not result.success and not run.failures:
        raise DbtError(f"dbt {arguments[0]} failed without saying why")
    return run
