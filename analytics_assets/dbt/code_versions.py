"""The code version of a model or seed: a hash of everything that its rows depend on apart from its inputs."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from analytics_assets.dbt.variables import source_vars
from analytics_assets.foundation.hashes import digest
from analytics_assets.spec.model_node import Manifest, ModelNode
from analytics_assets.spec.source import Source


def code_versions(manifest: Manifest, sources: Iterable[Source]) -> dict[str, str]:
    """The hash of each model and seed, by its unique id.

    For a seed, the hash covers its file. For a model, it covers its SQL, the project's macros and variables that it
    uses, its meta, the seeds that it reads, and the specs of the sources that it reads.
    """
    variables = manifest.raw.get("vars", {})
    specs = source_vars(sources)
    uses = _uses_of_macros(manifest)
    found = {}
    for unique_id, node in manifest.nodes.items():
        if node.is_seed:
            found[unique_id] = digest([node.checksum])
        if not node.is_model:
            continue
        macros = _macros_of(node, uses)
        sql = [node.sql, *(manifest.raw["macros"][macro]["macro_sql"] for macro in macros)]
        used = {name for text in sql for name in _VARIABLE.findall(text) if name in variables}
        parts = [*sql, json.dumps(node.meta, sort_keys=True)]
        parts += [f"{name}={variables[name]}" for name in sorted(used)]
        for parent in sorted(node.reads):
            if parent.startswith("seed."):
                parts.append(manifest.nodes[parent].checksum)
            elif parent.startswith("source."):
                parts.append(json.dumps(specs.get(manifest.source_of(parent)), sort_keys=True))
        found[unique_id] = digest(parts)
    return found


_VARIABLE = re.compile(r"""var\(\s*['"](\w+)""")


def _uses_of_macros(manifest: Manifest) -> dict[str, list[str]]:
    """What each of the project's macros uses: other macros of the project, and its variants for all warehouses."""
    own = {name: macro for name, macro in manifest.raw["macros"].items() if macro["package_name"] == "analytics"}
    return {
        name: [
            *(other for other in macro["depends_on"]["macros"] if other in own),
            *(other for other in own if own[other]["name"].endswith(f"__{macro['name']}")),
        ]
        for name, macro in own.items()
    }


def _macros_of(node: ModelNode, uses: Mapping[str, Sequence[str]]) -> list[str]:
    """The project's macros that a model uses, directly or not."""
    found: set[str] = set()
    materialization = f"macro.analytics.materialization_{node.materialized}_"
    waiting = [name for name in uses if name in node.macros or name.startswith(materialization)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += uses[name]
    return sorted(found)
