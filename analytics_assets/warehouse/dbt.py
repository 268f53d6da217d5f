"""dbt in the step's own process: a manifest parsed once, then any number of runs with other windows.

Starting dbt as a program costs several seconds a run, most of it for reading the project again; see
docs/performance.md. Nothing here knows a model by name.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from analytics_assets.files import only_one, replacing
from analytics_assets.ingest.source import Source
from analytics_assets.partitions import Window
from analytics_assets.settings import PROJECT_DIR, Settings

logger = logging.getLogger(__name__)

DBT_PROJECT_DIR = PROJECT_DIR / "dbt_project"
_TARGET_DIR = DBT_PROJECT_DIR / "target"
MANIFEST_FILE = _TARGET_DIR / "manifest.json"
_FINGERPRINT_FILE = _TARGET_DIR / "manifest.fingerprint"


class DbtError(Exception):
    """dbt could not do what it was told; the message names the models or tests and what the database said."""


def source_vars(sources: Iterable[Source]) -> dict[str, Any]:
    """What the macros need to know of the sources' specs: key, winner rule and columns of each."""
    return {
        source.name: {
            "key": list(source.key),
            "winner": [[w.column, "desc" if w.largest else "asc"] for w in source.winners],
            "columns": list(source.columns),
        }
        for source in sources
    }


def window_vars(window: Window) -> dict[str, str]:
    """The window as dbt variables; `window_end` is the first day after it."""
    return {"window_start": window.start.isoformat(), "window_end": window.end.isoformat()}


def project_vars(settings: Settings, sources: Iterable[Source]) -> dict[str, Any]:
    """Everything else that the project's models, macros and profile are told."""
    return {
        "target": settings.dbt_target,
        "user": settings.user,
        "warehouse_file": str(settings.warehouse_file),
        "memory_limit": settings.duckdb_memory_limit,
        "raw_dir": _without_patterns(settings.raw_dir),
        "sources": source_vars(sources),
    }


def _without_patterns(path: Path) -> str:
    """A path whose characters all mean themselves to a globbing reader."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))


# ------------------------------------------------------------------------------------------------------ manifest


def _parse_vars(settings: Settings) -> dict[str, str]:
    """What a manifest depends on beside the files: it holds the full names of the tables that models become."""
    return {"target": settings.dbt_target, "user": settings.user, "warehouse_file": settings.warehouse_file.name}


def _fingerprint(settings: Settings) -> str:
    """Changes when any file does that dbt parses, or what it is parsed with."""
    folders = ("models", "macros", "tests", "seeds")
    files = [DBT_PROJECT_DIR / "dbt_project.yml", DBT_PROJECT_DIR / "profiles.yml"]
    files += [file for folder in folders for file in (DBT_PROJECT_DIR / folder).rglob("*") if file.is_file()]
    sha = hashlib.sha256(json.dumps(_parse_vars(settings)).encode())
    for file in sorted(files):
        sha.update(f"{file.relative_to(DBT_PROJECT_DIR)}\0".encode())
        sha.update(file.read_bytes())
    return sha.hexdigest()


def prepare_manifest(settings: Settings) -> Path:
    """The manifest of the project as it is now, parsed again only if a file of the project changed.

    Raises:
        DbtError: the project does not parse.
    """
    with only_one(_TARGET_DIR / ".parse.lock"):
        fingerprint = _fingerprint(settings)
        is_fresh = MANIFEST_FILE.exists() and _FINGERPRINT_FILE.exists()
        if not (is_fresh and _FINGERPRINT_FILE.read_text() == fingerprint):
            _invoke(["parse"], _parse_vars(settings), write_json=True)
            with replacing(_FINGERPRINT_FILE) as temporary:
                temporary.write_text(fingerprint)
    return MANIFEST_FILE


@cache
def load_manifest(settings: Settings) -> Mapping[str, Any]:
    """The manifest as dagster-dbt wants it, read once a process."""
    return json.loads(prepare_manifest(settings).read_bytes())


@cache
def _parsed_manifest(settings: Settings) -> Any:
    """The manifest as dbt's own object, read once a process from what the parse left for the next parse."""
    from dbt.contracts.graph.manifest import Manifest

    prepare_manifest(settings)
    manifest = Manifest.from_msgpack((_TARGET_DIR / "partial_parse.msgpack").read_bytes())
    manifest.build_flat_graph()  # what macros see as `graph`
    manifest.build_group_map()
    return manifest


# ----------------------------------------------------------------------------------------------------------- run


@dataclass
class DbtRun:
    """What one run of dbt said.

    Attributes:
        events: dbt's structured log events, as dicts, in their order.
        succeeded: unique ids of the nodes that were made.
        failures: name and message of each node that failed.
        failing_tests: the SQL that gives the rows that a failed or warning test objects to, by the test's name.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    succeeded: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)
    failing_tests: dict[str, str] = field(default_factory=dict)


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
    folder = settings.warehouse_file.parent
    folder.mkdir(parents=True, exist_ok=True)
    return _invoke(
        [*arguments, "--target-path", str(folder / "dbt_target")],
        variables,
        manifest=_parsed_manifest(settings),
        quiet=quiet,
    )


def _invoke(
    arguments: Sequence[str],
    variables: Mapping[str, Any],
    *,
    manifest: Any = None,
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
    places = ["--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR)]
    written = ["--write-json"] if write_json else ["--no-write-json"]
    result = dbtRunner(manifest=manifest, callbacks=[listen]).invoke(
        [*said, *written, *arguments, *places, "--vars", json.dumps(dict(variables))]
    )
    for node in getattr(result.result, "results", None) or []:
        if node.status == "success":
            run.succeeded.add(node.node.unique_id)
        if node.status in ("error", "fail", "runtime error"):
            run.failures[node.node.name] = (node.message or "").strip()
        if node.status in ("fail", "warn") and node.node.resource_type == "test":
            run.failing_tests[node.node.name] = node.node.compiled_code
    if result.exception is not None:
        raise DbtError(str(result.exception).strip()) from result.exception
    if not result.success and not run.failures:
        raise DbtError(f"dbt {arguments[0]} failed without saying why")
    return run
