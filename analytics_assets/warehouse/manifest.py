"""What dbt's manifest says of the models, and which of them can be used: pure functions over its dicts."""

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from typing import Any

HOLDS_NO_ROWS = ("view", "table_function")
"""Materializations that are only SQL over the rows of other models."""

MADE = ("model", "seed")
"""What becomes something in the warehouse: models and lookups."""


def has_days(node: Mapping[str, Any]) -> bool:
    """Whether a model has a column that holds the day of a row, and so a partition a day."""
    return "day" in node["config"]["meta"]


def usable_manifest(manifest: Mapping[str, Any], faults: Mapping[str, str]) -> tuple[Mapping[str, Any], list[str]]:
    """A manifest without the models of which it is not known what a day of them is, and without what reads those.

    Singular tests are attached to a model as generic ones are: to the last made of those that they read.

    Args:
        faults: what else is wrong with models, by their unique ids.

    Returns:
        The manifest, and a sentence for each model or test that is left out.
    """
    nodes = dict(manifest["nodes"])
    said = {name: f"{fault}; it is left out" for name, fault in faults.items()}
    for name, node in nodes.items():
        if name not in said and (fault := _fault(node, nodes)):
            said[name] = f"{node['original_file_path']} {fault}"
    for name in _in_order(nodes):
        read = [one for one in nodes[name]["depends_on"].get("nodes", ()) if one in said]
        if read and name not in said and nodes[name]["resource_type"] == "model":
            said[name] = f"{nodes[name]['original_file_path']} is left out, too: it reads {nodes[read[0]]['name']}"
    for name, node in nodes.items():
        if node["resource_type"] == "test" and not node.get("attached_node"):
            if tested := attached_to(node, nodes):
                nodes[name] = {**node, "attached_node": tested}
            else:
                said[name] = f"{node['original_file_path']} reads no model, so that it is a test of none: it is not run"
    gone = set(said) | {
        name
        for name, node in nodes.items()
        if node["resource_type"] == "test" and not said.keys().isdisjoint(node["depends_on"]["nodes"])
    }
    kept = {name: node for name, node in nodes.items() if name not in gone}
    maps = {
        part: {
            name: [one for one in others if one not in gone]
            for name, others in manifest.get(part, {}).items()
            if name not in gone
        }
        for part in ("child_map", "parent_map")
    }
    return {**manifest, "nodes": kept, **maps}, sorted(said.values())


def _fault(node: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Why a model cannot be made, to be put behind its file; None where it can."""
    if node["resource_type"] not in MADE:
        return None
    if len(node["fqn"]) < (4 if node["resource_type"] == "model" else 3):
        where = "models/<layer>/<domain>/" if node["resource_type"] == "model" else "seeds/<domain>/"
        return f"is left out: it lies in no folder of a domain; move it below {where}"
    if node["resource_type"] == "seed":
        return None
    if has_days(node):
        undated = (
            nodes[one]["name"]
            for one in node["depends_on"]["nodes"]
            if one in nodes and nodes[one]["resource_type"] == "model" and not has_days(nodes[one])
        )
        if name := next(undated, None):
            return f"is left out: {node['name']} has days, but reads {name}, which has none"
    elif node["config"]["materialized"] not in HOLDS_NO_ROWS:
        meta = "meta: {day: <the column that holds the day of a row>}"
        if not node.get("patch_path"):
            return f"has no entry in a yml, and is left out: add `{node['name']}` to one beside it, with {meta}"
        return f"is left out: {node['name']} holds rows, but its meta names no column that holds their day; add {meta}"
    return None


def attached_to(test: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The unique id of the model or lookup that a test is about: of those that it reads, the one made last."""
    if test.get("attached_node"):
        return str(test["attached_node"])
    read = [name for name in test["depends_on"]["nodes"] if name in nodes and nodes[name]["resource_type"] in MADE]
    order = [name for name in _in_order(nodes) if name in read]
    return order[-1] if order else None


def _in_order(nodes: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """The unique ids of some nodes, each after those that it reads."""
    reads = {name: [one for one in node["depends_on"].get("nodes", ()) if one in nodes] for name, node in nodes.items()}
    return TopologicalSorter(reads).static_order()
