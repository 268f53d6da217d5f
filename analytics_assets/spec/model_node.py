"""A typed view of dbt's manifest: each model, seed and test as a value, and all of them by name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from analytics_assets.partitions import PartitionOffsets, Read, assets_of, by_day, by_key
from analytics_assets.spec.asset import Asset, AssetKind
from analytics_assets.spec.source import raw_asset

HOLDS_NO_ROWS = ("view", "table_function")
"""Materializations that are only SQL over the rows of other models."""

MADE = ("model", "seed")
"""The resource types that dbt builds in the warehouse."""


@dataclass(frozen=True)
class ModelNode:
    """A model, seed or test of the manifest; `raw` is the node as dbt wrote it."""

    raw: Mapping[str, Any] = field(repr=False)

    @property
    def unique_id(self) -> str:
        """dbt's unique id, such as `model.analytics.stg_events`."""
        return self.raw["unique_id"]

    @property
    def name(self) -> str:
        """Its name, which is also the name of its asset."""
        return self.raw["name"]

    @property
    def resource_type(self) -> str:
        """dbt's resource type: `model`, `seed`, `test`, …."""
        return self.raw["resource_type"]

    @property
    def is_model(self) -> bool:
        """Whether it is a model."""
        return self.resource_type == "model"

    @property
    def is_seed(self) -> bool:
        """Whether it is a seed."""
        return self.resource_type == "seed"

    @property
    def is_test(self) -> bool:
        """Whether it is a data test."""
        return self.resource_type == "test"

    @property
    def is_made(self) -> bool:
        """Whether dbt builds it in the warehouse."""
        return self.resource_type in MADE

    @property
    def kind(self) -> AssetKind:
        """For a model or seed, the kind of its asset."""
        return AssetKind.SEED if self.is_seed else AssetKind.MODEL if self.has_days else AssetKind.VIEW

    @property
    def asset(self) -> Asset:
        """Its asset."""
        return Asset(self.name, self.kind)

    @property
    def domain(self) -> str:
        """Its domain folder, in `models/<layer>/<domain>/` or `seeds/<domain>/`; empty if it lies in none."""
        place = 1 if self.is_seed else 2
        return self.raw["fqn"][place] if len(self.raw["fqn"]) > place + 1 else ""

    @property
    def description(self) -> str:
        """What its yml says of it; empty if it says nothing."""
        return self.raw.get("description") or ""

    @property
    def file(self) -> str:
        """The path of its file within the dbt project."""
        return self.raw["original_file_path"]

    @property
    def yml(self) -> str:
        """The yml file that describes it; empty if none does."""
        return str(self.raw.get("patch_path") or "").rpartition("://")[2]

    @property
    def schema(self) -> str:
        """The schema of its table."""
        return self.raw["schema"]

    @property
    def alias(self) -> str:
        """The name of its table."""
        return self.raw["alias"]

    @property
    def relation_name(self) -> str:
        """The full name of its table, quoted for SQL."""
        return self.raw["relation_name"]

    @property
    def config(self) -> Mapping[str, Any]:
        """Its dbt config."""
        return self.raw["config"]

    @property
    def meta(self) -> Mapping[str, Any]:
        """Its `meta`, which holds the project's own settings."""
        return self.config.get("meta") or {}

    @property
    def materialized(self) -> str:
        """Its materialization."""
        return self.config["materialized"]

    @property
    def holds_rows(self) -> bool:
        """Whether it is a table."""
        return self.materialized not in HOLDS_NO_ROWS

    @property
    def is_table_function(self) -> bool:
        """Whether it is a query with arguments, which has no rows without them."""
        return self.materialized == "table_function"

    @property
    def is_public(self) -> bool:
        """Whether it is a model with `access: public`, as all marts are."""
        return self.is_model and self.config["access"] == "public"

    @property
    def is_published(self) -> bool:
        """Whether its rows are in the published copy: those of public models are, unless its meta says otherwise."""
        return self.is_public and self.meta.get("published", True) is not False

    @property
    def has_days(self) -> bool:
        """Whether it has a column that holds the day of a row, and so one partition per day."""
        return "day" in self.meta

    @property
    def day(self) -> str:
        """The column that holds the day of a row.

        Raises:
            KeyError: it has none.
        """
        return self.meta["day"]

    @property
    def mappings(self) -> list[Read]:
        """What its `meta.reads` declares; a model that is not named there is read on the same day.

        So are the rows of a driver, unless other days of it are declared.
        """
        declared = [
            Read(
                read["model"],
                PartitionOffsets(*read.get("days", (0, 0))),
                _names(read.get("key", ())),
                read.get("of", ""),
                _names(read.get("columns", ())),
            )
            for read in self.meta.get("reads", ())
        ]
        whole = assets_of(by_day(declared))
        return [
            *declared,
            *(Read(name) for name in dict.fromkeys(read.of for read in by_key(declared)) if name not in whole),
        ]

    @property
    def columns(self) -> Mapping[str, Mapping[str, Any]]:
        """What its yml says of its columns, by name."""
        return self.raw["columns"]

    @property
    def sql(self) -> str:
        """Its SQL as written, before it is compiled."""
        return self.raw["raw_code"]

    @property
    def checksum(self) -> str:
        """A hash of its file."""
        return self.raw["checksum"]["checksum"]

    @property
    def reads(self) -> list[str]:
        """The unique ids of its upstream nodes."""
        return self.raw["depends_on"].get("nodes", [])

    @property
    def macros(self) -> list[str]:
        """The unique ids of the macros that it calls directly."""
        return self.raw["depends_on"]["macros"]

    @property
    def seeds_read(self) -> list[str]:
        """The names of the seeds that it reads."""
        return [name_in(one) for one in self.reads if one.startswith("seed.")]

    @property
    def tested(self) -> str | None:
        """For a test, the unique id of the model or seed that it tests; None if dbt attaches it to none."""
        return self.raw.get("attached_node")

    @property
    def rule(self) -> str:
        """For a generic test, its name, such as `not_null`; empty for a singular test."""
        return (self.raw.get("test_metadata") or {}).get("name", "")

    @property
    def arguments(self) -> Mapping[str, Any]:
        """For a generic test, its arguments."""
        return (self.raw.get("test_metadata") or {}).get("kwargs", {})


def _names(said: str | Sequence[str]) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said)


def name_in(unique_id: str) -> str:
    """The name that a unique id ends with."""
    return unique_id.rpartition(".")[2]


@dataclass(frozen=True)
class Manifest:
    """dbt's manifest; `raw` is the manifest as dbt writes it and dagster-dbt wants it."""

    raw: Mapping[str, Any] = field(repr=False)

    @cached_property
    def nodes(self) -> Mapping[str, ModelNode]:
        """All nodes, by unique id."""
        return {unique_id: ModelNode(raw) for unique_id, raw in self.raw["nodes"].items()}

    @cached_property
    def made(self) -> Mapping[str, ModelNode]:
        """Models and seeds, by name."""
        return {node.name: node for node in self.nodes.values() if node.is_made}

    @property
    def models(self) -> Iterator[ModelNode]:
        """All models."""
        return (node for node in self.nodes.values() if node.is_model)

    @property
    def tests(self) -> Iterator[ModelNode]:
        """All data tests."""
        return (node for node in self.nodes.values() if node.is_test)

    def reads_of(self, node: ModelNode) -> list[Read]:
        """All that a model with days reads of assets with days: what it declares, and the others on the same day."""
        declared = node.mappings
        others = [
            raw_asset(self.source_of(one)) if one.startswith("source.") else name_in(one)
            for one in node.reads
            if one.startswith(("source.", "model."))
        ]
        return [*declared, *(Read(name) for name in others if name not in assets_of(declared))]

    @cached_property
    def read_by_key(self) -> Mapping[str, Sequence[tuple[ModelNode, Read]]]:
        """The models that are read by key, each with its readers."""
        found: dict[str, list[tuple[ModelNode, Read]]] = {}
        for node in self.models:
            for read in by_key(node.mappings):
                found.setdefault(read.asset, []).append((node, read))
        return found

    def tests_renewed_with(self, node: ModelNode) -> list[ModelNode]:
        """The tests that a model's keys exist upstream, where it finds the rows by those keys.

        They are attached to the driver, which is not made again when a key comes or goes; the days of this model are.
        """
        pairs = {(self.made[read.of].unique_id, self.made[read.asset].unique_id) for read in by_key(node.mappings)}
        return [
            test
            for test in self.tests
            if test.rule == "relationships" and any(test.tested == of and to in test.reads for of, to in pairs)
        ]

    def source_of(self, unique_id: str) -> str:
        """The name of a source that models read."""
        return self.raw["sources"][unique_id]["name"]
