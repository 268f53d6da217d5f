"""The asset graph as it is agreed on."""

from typing import Any

from dagster import DailyPartitionsDefinition, TimeWindowPartitionMapping

from analytics_assets_tests.support.project import Project


def graph_of(project: Project) -> dict[str, Any]:
    """Keys, groups, owners, kinds, partitions, mappings and checks of all assets."""
    graph = project.definitions.resolve_asset_graph()
    found = {}
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        mappings = {}
        for parent in sorted(node.parent_keys):
            has_days = graph.get(parent).partitions_def is not None
            by_default = ("same day" if node.partitions_def else "all days") if has_days else "as a whole"
            mapping = node.partition_mappings.get(parent)
            is_window = isinstance(mapping, TimeWindowPartitionMapping)
            mappings[parent.path[-1]] = [mapping.start_offset, mapping.end_offset] if is_window else by_default
        found[key.path[-1]] = {
            "group": node.group_name,
            "owners": sorted(node.owners),
            "kinds": sorted(node.kinds),
            "partitions": "daily" if isinstance(node.partitions_def, DailyPartitionsDefinition) else None,
            "reads": mappings,
            "automation": node.automation_condition.get_label() if node.automation_condition else None,
            "checks": sorted(check.name for check in node.check_keys),
        }
    return found
