"""How a dbt model looks as a Dagster asset; one small method an attribute."""

from collections.abc import Mapping
from typing import Any

from dagster import AssetKey, AutomationCondition, PartitionMapping, TimeWindowPartitionMapping
from dagster_dbt import DagsterDbtTranslator

from analytics_assets.versions import RAW_PREFIX


class ModelTranslator(DagsterDbtTranslator):
    """Assets are named as their models; a source of dbt is the raw asset of the same name."""

    def __init__(self, owner: str, group: str, condition: AutomationCondition) -> None:
        super().__init__()
        self._owner, self._group, self._condition = owner, group, condition

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> AssetKey:
        prefix = RAW_PREFIX if dbt_resource_props["resource_type"] == "source" else ""
        return AssetKey(prefix + dbt_resource_props["name"])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return self._group

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return [self._owner]

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return dbt_resource_props.get("description") or ""

    def get_automation_condition(self, dbt_resource_props: Mapping[str, Any]) -> AutomationCondition | None:
        return self._condition if dbt_resource_props["resource_type"] == "model" else None

    def get_partition_mapping(
        self, dbt_resource_props: Mapping[str, Any], dbt_parent_resource_props: Mapping[str, Any]
    ) -> PartitionMapping | None:
        """The days of the parent that a day of the model is made from, as the model's `meta.window` names them."""
        window = dbt_resource_props.get("config", {}).get("meta", {}).get("window", {})
        offsets = window.get(dbt_parent_resource_props["name"])
        return TimeWindowPartitionMapping(start_offset=offsets[0], end_offset=offsets[1]) if offsets else None
