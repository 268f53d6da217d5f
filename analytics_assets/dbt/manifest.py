"""Decides which models of a manifest can be used. Pure functions."""

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter

from analytics_assets.spec.asset import AssetKind
from analytics_assets.spec.model_node import Manifest, ModelNode


def usable_manifest(manifest: Manifest, faults: Mapping[str, str]) -> tuple[Manifest, list[str]]:
    """The manifest without the models that cannot be made, and without everything downstream of them.

    A singular test is attached to a model, as a generic one is: to the last made of the models that it reads. An
    exposure is removed with a model that it reads.

    Args:
        faults: what else is wrong with models, by their unique ids.

    Returns:
        The manifest, and a sentence for each model or test that is left out.
    """
    nodes = dict(manifest.nodes)
    said = {name: f"{fault}; it is left out" for name, fault in faults.items()}
    for name, node in nodes.items():
        if name not in said and (fault := _fault(node, nodes)):
            said[name] = f"{node.file} {fault}"
    for name in _in_order(nodes):
        read = [one for one in nodes[name].reads if one in said]
        if read and name not in said and nodes[name].is_model:
            said[name] = f"{nodes[name].file} is left out, too: it reads {nodes[read[0]].name}"
    for name, node in nodes.items():
        if node.is_test and not node.tested:
            if tested := attached_to(node, nodes):
                nodes[name] = ModelNode({**node.raw, "attached_node": tested})
            else:
                said[name] = f"{node.file} reads no model, so that it is a test of none: it is not run"
    gone = set(said) | {name for name, node in nodes.items() if node.is_test and not said.keys().isdisjoint(node.reads)}
    exposures = {
        name: exposure
        for name, exposure in manifest.raw.get("exposures", {}).items()
        if said.keys().isdisjoint(exposure["depends_on"]["nodes"])
    }
    gone |= manifest.raw.get("exposures", {}).keys() - exposures.keys()
    kept = {name: node.raw for name, node in nodes.items() if name not in gone}
    maps = {
        part: {
            name: [one for one in others if one not in gone]
            for name, others in manifest.raw.get(part, {}).items()
            if name not in gone
        }
        for part in ("child_map", "parent_map")
    }
    return Manifest({**manifest.raw, "nodes": kept, "exposures": exposures, **maps}), sorted(said.values())


def _fault(node: ModelNode, nodes: Mapping[str, ModelNode]) -> str | None:
    """Why a model cannot be made, as the rest of a sentence that begins with its file; None if it can."""
    if not node.is_made:
        return None
    if not node.domain:
        where = "models/<layer>/<domain>/" if node.is_model else "seeds/<domain>/"
        return f"is left out: it lies in no folder of a domain; move it below {where}"
    if node.is_seed:
        return None
    if node.has_days:
        undated = (nodes[one].name for one in node.reads if one in nodes and nodes[one].kind is AssetKind.VIEW)
        if name := next(undated, None):
            return f"is left out: {node.name} has days, but reads {name}, which has none"
    elif node.holds_rows:
        meta = "meta: {day: <the column that holds the day of a row>}"
        if not node.yml:
            return f"has no entry in a yml, and is left out: add `{node.name}` to one beside it, with {meta}"
        return f"is left out: {node.name} holds rows, but its meta names no column that holds their day; add {meta}"
    return None


def attached_to(test: ModelNode, nodes: Mapping[str, ModelNode]) -> str | None:
    """The unique id of the model or seed that a test checks: the last made of those that it reads."""
    if test.tested:
        return test.tested
    read = [name for name in test.reads if name in nodes and nodes[name].is_made]
    order = [name for name in _in_order(nodes) if name in read]
    return order[-1] if order else None


def _in_order(nodes: Mapping[str, ModelNode]) -> Iterable[str]:
    """The unique ids of some nodes, upstream nodes first."""
    reads = {name: [one for one in node.reads if one in nodes] for name, node in nodes.items()}
    return TopologicalSorter(reads).static_order()
