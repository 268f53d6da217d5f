"""How a dbt model looks as a Dagster asset; one small method an attribute."""

from collections.abc import Mapping
from typing import Any

from dagster import (
    AssetCheckSpec,
    AssetKey,
    AssetSpec,
    AutomationCondition,
    PartitionMapping,
    TimeWindowPartitionMapping,
)
from dagster_dbt import DagsterDbtTranslator, DbtProject

from analytics_assets.automation import Automation
from analytics_assets.versions import RAW_PREFIX
from analytics_assets.warehouse.manifest import has_days


class ModelTranslator(DagsterDbtTranslator):
    """Assets are named as their models and seeds; a source of dbt is the raw asset of the same name."""

    def __init__(self, owner: str, group: str, automation: Automation, code_versions: Mapping[str, str]) -> None:
        super().__init__()
        self._owner, self._group, self._automation, self._code_versions = owner, group, automation, code_versions

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
        if dbt_resource_props["resource_type"] not in ("model", "seed"):
            return None
        if not has_days(dbt_resource_props):
            return self._automation.view()
        elsewhere = [*_windows(dbt_resource_props), *_lookups(dbt_resource_props)]
        return self._automation.model([AssetKey(parent) for parent in elsewhere])

    def get_asset_check_spec(
        self, asset_spec: AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> AssetCheckSpec | None:
        """A test holds back the days that it names, by their records: Dagster, which knows of no days, must not.

        It would fail the run of a day that passes for as long as another one fails.
        """
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec._replace(blocking=False) if spec else None

    def get_code_version(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        return self._code_versions.get(dbt_resource_props["unique_id"])

    def get_partition_mapping(
        self, dbt_resource_props: Mapping[str, Any], dbt_parent_resource_props: Mapping[str, Any]
    ) -> PartitionMapping | None:
        """The days of the parent that a day of the model is made from, as the model's `meta.window` names them."""
        offsets = _windows(dbt_resource_props).get(dbt_parent_resource_props["name"])
        return TimeWindowPartitionMapping(start_offset=offsets[0], end_offset=offsets[1]) if offsets else None


def _windows(dbt_resource_props: Mapping[str, Any]) -> Mapping[str, list[int]]:
    return dbt_resource_props.get("config", {}).get("meta", {}).get("window", {})


def _lookups(dbt_resource_props: Mapping[str, Any]) -> list[str]:
    """The seeds that a model reads."""
    return [name.rpartition(".")[2] for name in dbt_resource_props["depends_on"]["nodes"] if name.startswith("seed.")]
