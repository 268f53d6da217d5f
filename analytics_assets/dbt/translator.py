"""How a dbt model appears as a Dagster asset: one small method per attribute."""

from collections.abc import Mapping
from typing import Any

from dagster import (
    AssetCheckSpec,
    AssetKey,
    AssetSpec,
    AutomationCondition,
    PartitionMapping,
)
from dagster_dbt import DagsterDbtTranslator, DbtProject

from analytics_assets.partitions import UTC_DAYS, Calendar, Read, assets_of, is_exact, widest_mapping
from analytics_assets.project import Project
from analytics_assets.spec.asset import name_of, reads_as_metadata
from analytics_assets.spec.model_node import ModelNode
from analytics_assets.spec.source import raw_asset

_WHAT_RULES_SAY = {
    "adds_up": "Rows and sums are those of what it is made from, day by day.",
    "key_on_one_day": "A key stands on one day.",
    "not_null": "No row lacks a value.",
    "relationships": "Each value is one of the table that it names.",
    "unique_together": "No two rows of a day have the same key.",
    "usual_volume": "A day holds about as much as the same weekdays before it.",
}
"""What a generic test says in reports and alerts where its yml has no description."""


class ModelTranslator(DagsterDbtTranslator):
    """Names assets after their models and seeds; a dbt source is the raw asset of the same name."""

    def __init__(self, project: Project, code_versions: Mapping[str, str]) -> None:
        super().__init__()
        self._automation, self._code_versions, self._catalog = project.automation, code_versions, project.catalog
        self._shifted: dict[str, list[Read]] = {}  # by upstream model: all reads of it but those of the same day
        for node in project.manifest.models:
            for read in node.mappings:
                if read != Read(read.asset):
                    self._shifted.setdefault(read.asset, []).append(read)
        self._owners = {domain.name: domain.owner for domain in project.domains}

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> AssetKey:
        name = dbt_resource_props["name"]
        return AssetKey(raw_asset(name) if dbt_resource_props["resource_type"] == "source" else name)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return ModelNode(dbt_resource_props).domain

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        domain = ModelNode(dbt_resource_props).domain
        return [self._owners[domain]] if domain in self._owners else []  # the domain may be left out

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        node = ModelNode(dbt_resource_props)
        return {**super().get_tags(dbt_resource_props), **(node.asset.tags if node.is_made else {})}

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return dbt_resource_props.get("description") or ""

    def get_automation_condition(self, dbt_resource_props: Mapping[str, Any]) -> AutomationCondition | None:
        node = ModelNode(dbt_resource_props)
        if not node.is_made:
            return None
        if not node.has_days:
            return self._automation.view()
        shifted = assets_of(read for read in node.mappings if read != Read(read.asset))
        loose = {name for name in shifted if not is_exact(self._mapping(name, node), node.mappings, name)}
        elsewhere = {*shifted - loose, *node.seeds_read}
        return self._automation.model(
            [AssetKey(name) for name in sorted(elsewhere)], [AssetKey(name) for name in sorted(loose)]
        )

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        node = ModelNode(dbt_resource_props)
        declared = reads_as_metadata(node.mappings) if node.is_made else {}
        return {**super().get_metadata(dbt_resource_props), **declared}

    def get_asset_check_spec(
        self, asset_spec: AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> AssetCheckSpec | None:
        """Never blocking: the records of days hold back the days that a test names; Dagster does not know the days.

        A blocking check would fail the run of a good day for as long as another day fails.
        """
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is None:
            return None
        usual = _WHAT_RULES_SAY.get(ModelNode(manifest["nodes"][unique_id]).rule)
        return spec._replace(blocking=False, description=spec.description or usual)

    def get_code_version(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        return self._code_versions.get(dbt_resource_props["unique_id"])

    def get_partition_mapping(
        self, dbt_resource_props: Mapping[str, Any], dbt_parent_resource_props: Mapping[str, Any]
    ) -> PartitionMapping | None:
        """The widest that Dagster has a class for of what `meta.reads` declares."""
        return self._mapping(name_of(self.get_asset_key(dbt_parent_resource_props)), ModelNode(dbt_resource_props))

    def _mapping(self, parent: str, node: ModelNode) -> PartitionMapping | None:
        """Dagster's mapping of an upstream model: None maps a day to the same day.

        All models of a step that read other days of it share one: Dagster knows one for a step and upstream asset.
        """
        same_days = self._calendar_of(parent) == self._calendar_of(node.name)
        own = [read for read in node.mappings if read.asset == parent and read != Read(parent)]
        if own or not same_days:
            return widest_mapping([*self._shifted.get(parent, ()), *own], same_days=same_days)
        return None

    def _calendar_of(self, name: str) -> Calendar:
        return self._catalog[name].calendar if name in self._catalog else UTC_DAYS
