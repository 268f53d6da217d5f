"""The kinds of assets, and what they declare to read. An asset carries both; its name never tells them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, cast

from dagster import AssetKey, JsonMetadataValue

from analytics_assets.partitions import UTC_DAYS, Calendar, PartitionOffsets, Read

KIND_TAG = "analytics/kind"
"""The tag that holds the kind of an asset."""


class AssetKind(StrEnum):
    """What an asset is, and so where its days are kept and recorded."""

    EXTRACT = "extract"
    """Pulls of an API: a day is the day of the pull, and a pull only adds files."""
    LANDED = "landed"
    """Files in the inbox, each landed once; no days."""
    RAW = "raw"
    """Rows as they landed, by day."""
    SEED = "seed"
    """A CSV file of the dbt project; no days."""
    MODEL = "model"
    """A dbt model whose rows have a day."""
    VIEW = "view"
    """A dbt model without days: a view or a table function."""
    PUBLISHED = "published"
    """A domain's part of the published copy."""
    REPORT = "report"
    """A file or a sheet as of a day, or the table of an analysis: the newest is kept fresh, older ones are made on
    demand."""


@dataclass(frozen=True)
class Asset:
    """An asset.

    Attributes:
        endings: for a report, those of the files that a day of it is (`html`).
        calendar: its days, if it has any.
    """

    name: str
    kind: AssetKind
    endings: tuple[str, ...] = ()
    calendar: Calendar = UTC_DAYS

    @property
    def tags(self) -> dict[str, str]:
        """The Dagster tags, which hold the kind."""
        return {KIND_TAG: self.kind.value}


_READS = "analytics/reads"


def reads_as_metadata(reads: Sequence[Read]) -> dict[str, object]:
    """What an asset declares to read, as metadata: Dagster's partition mappings know neither keys nor open spans."""
    return {_READS: [asdict(read) for read in reads]} if reads else {}


def reads_in(metadata: Mapping[str, object]) -> list[Read]:
    """What an asset declares to read, from its metadata."""
    value = metadata.get(_READS, ())
    declared = value.value if isinstance(value, JsonMetadataValue) else value
    return [
        Read(one["asset"], PartitionOffsets(**one["days"]), tuple(one["key"]), one["of"], tuple(one["columns"]))
        for one in cast(Sequence[Mapping[str, Any]], declared)
    ]


Catalog = Mapping[str, Asset]
"""All assets that the project declares, by name."""


def name_of(key: AssetKey) -> str:
    """The name of an asset: the keys of this project have one part."""
    return key.path[-1]
