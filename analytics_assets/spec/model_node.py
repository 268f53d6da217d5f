"""dbt's manifest as the project reads it: each model, seed and test as a typed value, and all of them by name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from analytics_assets.partitions import PartitionOffsets
from analytics_assets.spec.asset import Asset, AssetKind

HOLDS_NO_ROWS = ("view", "table_function")
"""Materializations that are only SQL over the rows of other models."""

MADE = ("model", "seed")
"""What becomes something in the warehouse."""


@dataclass(frozen=True)
class ModelNode:
    """A model, seed or test of the manifest; `raw` is the node as dbt writes it."""

    raw: Mapping[str, Any] = field(repr=False)

    @property
    def unique_id(self) -> str:
        """dbt's: `model.analytics.stg_events`."""
        return self.raw["unique_id"]

    @property
    def name(self) -> str:
        """Its own name, which is that of its asset."""
        return self.raw["name"]

    @property
    def resource_type(self) -> str:
        """`model`, `seed`, `test`, …, as dbt says it."""
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
        """Whether it is a test of data."""
        return self.resource_type == "test"

    @property
    def is_made(self) -> bool:
        """Whether it becomes something in the warehouse."""
        return self.resource_type in MADE

    @property
    def kind(self) -> AssetKind:
        """Of a model or seed."""
        return AssetKind.SEED if self.is_seed else AssetKind.MODEL if self.has_days else AssetKind.VIEW

    @property
    def asset(self) -> Asset:
        """The asset that it is."""
        return Asset(self.name, self.kind)

    @property
    def domain(self) -> str:
        """The folder below its layer, `models/<layer>/<domain>/` or `seeds/<domain>/`; empty where it lies in none."""
        place = 1 if self.is_seed else 2
        return self.raw["fqn"][place] if len(self.raw["fqn"]) > place + 1 else ""

    @property
    def file(self) -> str:
        """The file that it is written in, below the dbt project."""
        return self.raw["original_file_path"]

    @property
    def yml(self) -> str:
        """The yml file that describes it; empty where none does."""
        return str(self.raw.get("patch_path") or "").rpartition("://")[2]

    @property
    def schema(self) -> str:
        """Of its table."""
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
        """What dbt was told of it."""
        return self.raw["config"]

    @property
    def meta(self) -> Mapping[str, Any]:
        """What the project was told of it."""
        return self.config.get("meta") or {}

    @property
    def materialized(self) -> str:
        """How dbt makes it."""
        return self.config["materialized"]

    @property
    def holds_rows(self) -> bool:
        """Whether it is a table."""
        return self.materialized not in HOLDS_NO_ROWS

    @property
    def is_public(self) -> bool:
        """Whether it is a model that dbt calls public, as all marts are."""
        return self.is_model and self.config["access"] == "public"

    @property
    def has_days(self) -> bool:
        """Whether it has a column that holds the day of a row, and so a partition a day."""
        return "day" in self.meta

    @property
    def day(self) -> str:
        """The column that holds the day of a row.

        Raises:
            KeyError: it has none.
        """
        return self.meta["day"]

    @property
    def window(self) -> Mapping[str, PartitionOffsets]:
        """By the names of models that it reads other days of, which."""
        return {name: PartitionOffsets(*offsets) for name, offsets in self.meta.get("window", {}).items()}

    @property
    def columns(self) -> Mapping[str, Mapping[str, Any]]:
        """What its yml says of its columns, by their names."""
        return self.raw["columns"]

    @property
    def sql(self) -> str:
        """Its SQL as it is written."""
        return self.raw["raw_code"]

    @property
    def checksum(self) -> str:
        """A hash of its file."""
        return self.raw["checksum"]["checksum"]

    @property
    def reads(self) -> list[str]:
        """The unique ids of all that it reads."""
        return self.raw["depends_on"].get("nodes", [])

    @property
    def macros(self) -> list[str]:
        """The unique ids of the macros that it calls itself."""
        return self.raw["depends_on"]["macros"]

    @property
    def seeds_read(self) -> list[str]:
        """The names of the seeds that it reads."""
        return [name_in(one) for one in self.reads if one.startswith("seed.")]

    @property
    def tested(self) -> str | None:
        """Of a test, the unique id of the model or seed that it is about."""
        return self.raw.get("attached_node")

    @property
    def rule(self) -> str:
        """Of a generic test, its name, as `not_null`; empty for one that is written out."""
        return (self.raw.get("test_metadata") or {}).get("name", "")

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Of a generic test, what it was given."""
        return (self.raw.get("test_metadata") or {}).get("kwargs", {})


def name_in(unique_id: str) -> str:
    """The name that a unique id ends with."""
    return unique_id.rpartition(".")[2]


@dataclass(frozen=True)
class Manifest:
    """What dbt knows of its project; `raw` is as dbt writes it, and as dagster-dbt wants it."""

    raw: Mapping[str, Any] = field(repr=False)

    @cached_property
    def nodes(self) -> Mapping[str, ModelNode]:
        """By their unique ids."""
        return {unique_id: ModelNode(raw) for unique_id, raw in self.raw["nodes"].items()}

    @cached_property
    def made(self) -> Mapping[str, ModelNode]:
        """Models and seeds by their names."""
        return {node.name: node for node in self.nodes.values() if node.is_made}

    @property
    def models(self) -> Iterator[ModelNode]:
        """All models."""
        return (node for node in self.nodes.values() if node.is_model)

    @property
    def tests(self) -> Iterator[ModelNode]:
        """All tests of data."""
        return (node for node in self.nodes.values() if node.is_test)

    def source_of(self, unique_id: str) -> str:
        """The name of a source that models read."""
        return self.raw["sources"][unique_id]["name"]
