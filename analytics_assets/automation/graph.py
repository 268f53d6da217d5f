"""How the assets of the graph read each other: by day, and by key."""

from collections.abc import Mapping, Sequence

from dagster import PartitionMapping

from analytics_assets.dagster_internals import BaseAssetGraph, BaseAssetNode
from analytics_assets.partitions import Read, assets_of, offsets_of
from analytics_assets.spec.asset import KIND_TAG, AssetKind, name_of, reads_in


def of_kind(graph: BaseAssetGraph, kind: AssetKind) -> set[str]:
    """The names of all assets of one kind."""
    return {name_of(key) for key in graph.get_all_asset_keys() if graph.get(key).tags.get(KIND_TAG) == kind}


def _is_made(node: BaseAssetNode) -> bool:
    """Whether the project automates an asset; the assets that a domain defines itself are left to Dagster."""
    return node.automation_condition is not None and KIND_TAG in node.tags


def upstream_by_asset(graph: BaseAssetGraph) -> dict[str, Sequence[Read]]:
    """The partitioned assets that the automation makes, upstream first, each with what it reads of such assets."""
    found: dict[str, Sequence[Read]] = {}
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        if node.partitions_def is not None and _is_made(node):
            parents = {
                name_of(parent): node.partition_mappings.get(parent)
                for parent in sorted(node.parent_keys)
                if graph.get(parent).partitions_def is not None and _is_made(graph.get(parent))
            }
            found[name_of(key)] = reads_of(parents, node.metadata)
    return found


def reads_of(parents: Mapping[str, PartitionMapping | None], metadata: Mapping[str, object]) -> list[Read]:
    """What an asset reads of some upstream assets, by its metadata, or else by Dagster's partition mappings."""
    declared = reads_in(metadata)
    undeclared = [
        Read(name, offsets_of(mapping)) for name, mapping in parents.items() if name not in assets_of(declared)
    ]
    return [*(read for read in declared if read.asset in parents), *undeclared]


def views_by_asset(graph: BaseAssetGraph) -> dict[str, Sequence[Read]]:
    """The assets without days that the automation makes, upstream first, each with its upstream assets."""
    return {
        name_of(key): [Read(name_of(parent)) for parent in sorted(graph.get(key).parent_keys)]
        for key in graph.toposorted_asset_keys
        if graph.get(key).partitions_def is None and _is_made(graph.get(key))
    }


def seeds_by_asset(graph: BaseAssetGraph) -> dict[str, set[str]]:
    """The seeds that each partitioned asset reads: automated assets without days and without upstream assets."""
    seeds = {name for name, upstream in views_by_asset(graph).items() if not upstream}
    read = {
        name_of(key): {name_of(parent) for parent in graph.get(key).parent_keys} & seeds
        for key in graph.toposorted_asset_keys
        if graph.get(key).partitions_def is not None
    }
    return {name: found for name, found in read.items() if found}


def linked_assets(graph: BaseAssetGraph) -> dict[str, frozenset[str]]:
    """For each asset, itself and all assets linked to it, up or down, however far: one domain, or several.

    What the automation does not make and nothing reads links nothing: the page of all reports would tie all domains.
    """
    found: dict[str, frozenset[str]] = {}
    ends = {
        key
        for key in graph.get_all_asset_keys()
        if KIND_TAG not in graph.get(key).tags and not graph.get(key).child_keys
    }
    for key in graph.toposorted_asset_keys:
        if name_of(key) in found:
            continue
        linked, waiting = {key}, set() if key in ends else {key}
        while waiting:
            linked |= waiting
            waiting = {other for one in waiting for other in graph.get(one).parent_keys | graph.get(one).child_keys}
            waiting -= linked | ends
        names = frozenset(name_of(one) for one in linked)
        found |= dict.fromkeys(names, names)
    return found
