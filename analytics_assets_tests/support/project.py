"""A whole project in a folder of its own, on real files and a real warehouse."""

import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import duckdb
import polars as pl
from dagster import AssetSelection, evaluate_automation_conditions

from analytics_assets.build import build_definitions, open_project
from analytics_assets.defs import find_domains
from analytics_assets.operations.runner import Runner
from analytics_assets.partitions import Read, Upstream, Window, assets_of, downstream_days, partitioned_days
from analytics_assets.settings import PROJECT_DIR, Settings
from analytics_assets.spec.asset import AssetKind, name_of
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.source import Source, raw_asset
from analytics_assets.state.ledger import Content, Found, Ledger, Seen
from analytics_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from analytics_assets.warehouse.interface import Reader
from analytics_assets.warehouse.published import public_models
from analytics_assets_tests.support.instance import ephemeral_instance
from analytics_assets_tests.support.templates import STORAGES, database_of, settle_from_template

REAL_DATA = PROJECT_DIR.parent / "shared" / "data"


IN_FULL = os.environ.get("HYPOTHESIS_PROFILE") == "full"
"""Whether proofs run in full size, as `make proof` has it."""

YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)


def day(number: int, days: int = 5) -> date:
    """Day `number`, counted from 0, of a project of so many days."""
    return YESTERDAY - timedelta(days=days - 1 - number)


def test_settings(folder: Path, **changes: object) -> Settings:
    """Settings of a project in a folder, whatever the shell's environment and `.env` say."""
    defaults: dict[str, object] = {
        "dagster_home": folder / "home",
        "start_date": day(0),
        "end_date": YESTERDAY,  # no day is added at a midnight within the tests
        "inbox_settle_seconds": 0.0,
        "sensor_watch_seconds": 0.0,
        "retry_wait_seconds": 0.0,
    }
    return Settings(_env_file=None, data_dir=folder, **(defaults | changes))  # type: ignore[call-arg]


def on_days_of_tests(domain: Domain) -> Domain:
    """A domain whose days are those of the test's project, if it has a first and a last day of its own."""
    return replace(domain, first_day=None, last_day=None)


DOMAINS = tuple(map(on_days_of_tests, find_domains()))


CHOSEN = os.environ.get("TEST_DOMAINS", "").split()
"""The domains that tests of every domain are about; all of them if none is named."""


WITHOUT_REPORTS = tuple(
    replace(domain, reports=(), analyses=()) for domain in DOMAINS if not CHOSEN or domain.name in CHOSEN
)
"""The domains without their reports: those take seconds and have tests of their own."""


CONSENT = next(domain for domain in DOMAINS if domain.name == "consent")


ALL_OF_ONE = (CONSENT,)
"""One domain, with its reports."""


ONE_DOMAIN = (replace(CONSENT, reports=()),)
"""For tests of what is done for every domain alike: they drop files of this one, and others would only take time."""


Tables = dict[tuple[str, date], list[tuple]]


WHEN_LANDED = ("_landed_at", "landed_at")
"""The columns in which two projects differ that got the same files."""


@dataclass
class Project:
    """A whole project in a folder of its own; its domains are on, unless a test wants to see them turned on."""

    folder: Path
    domains: Sequence[Domain] = WITHOUT_REPORTS
    changes: dict[str, object] = field(default_factory=dict)
    on: bool = True

    def __post_init__(self) -> None:
        self.settings = test_settings(self.folder, **self.changes)
        self.declared = replace(open_project(self.settings, self.domains), faults=())  # some lack the other domains
        self.definitions = build_definitions(self.declared)
        self.sources: list[Source] = self.declared.sources
        self.instance = ephemeral_instance()
        ledger = Ledger(self.settings.lake_dir)
        for source in self.sources if self.on else ():
            if not ledger.has_landed(source):
                content = Content("nothing", "nothing", "nothing", datetime.now(UTC))
                found = Found("nothing", Seen(0, 0, 0, "", source.version), "nothing")
                ledger.record(source, [content], [found])

    def runner(self) -> Runner:
        return Runner(self.definitions, self.declared, self.instance)

    @property
    def assets(self) -> list[str]:
        """The partitioned assets besides the reports, each after those that it reads."""
        return list(self.upstream)

    @property
    def upstream(self) -> Upstream:
        """Those assets, and how they read each other."""
        runner = self.runner()
        return {name: reads for name, reads in runner.upstream.items() if name not in runner.reports}

    @property
    def models(self) -> list[str]:
        """The assets that are dbt models."""
        return [asset for asset in self.assets if self.kind(asset) is AssetKind.MODEL]

    def kind(self, asset: str) -> AssetKind:
        """What an asset is."""
        return self.declared.catalog[asset].kind

    @property
    def views(self) -> list[str]:
        """The models without days."""
        return [name for name, parents in self.runner().views.items() if parents]

    @property
    def seeds(self) -> list[str]:
        """What is loaded from files of the project."""
        return [name for name, parents in self.runner().views.items() if not parents]

    def tied_to(self, *days: date, source: str = "consent_events") -> dict[str, set[date]]:
        """The days of each asset that hang on some raw days of a source, by the partition mappings."""
        found = {raw_asset(source): set(days)}
        for name, reads in self.upstream.items():
            if tied := downstream_days(reads, lambda parent: found.get(parent, set()), self.window):
                found[name] = found.get(name, set()) | tied
        return found

    def first_layer(self, source: str = "consent_events") -> set[str]:
        """What is made in one run with the raw days of a source: all that reads no other days than its own."""
        found = {raw_asset(source)}
        reached = set(self.tied_to(self.settings.start_date, source=source))
        for name, reads in self.upstream.items():
            if name in reached and name not in found:
                read = {one for one in reads if one.asset in reached}
                if assets_of(read) <= found and read == {Read(one.asset) for one in read}:
                    found.add(name)
        return found

    @property
    def window(self) -> Window:
        return partitioned_days(self.settings, datetime.now(UTC))

    def simulate(self, scale: float = 0.1, seed: int = 1, **of_domains: float) -> None:
        """Writes the sample files of the domains, some at a scale of their own."""
        for domain in self.domains:
            of_domain = of_domains.get(domain.name, scale)
            domain.simulate(self.settings.inbox_dir, self.window, of_domain, Random(seed))

    def land(self) -> None:
        runner = self.runner()
        runner.land({f"landed_{source.name}" for source in self.sources})

    def settle(self, *only: str) -> Runner:
        """Lands and makes whatever is out of date; fails the test if anything failed.

        Args:
            only: what to make, with all that it is made of; what else the domain holds would only take time.
        """
        runner, graph = self.runner(), self.definitions.resolve_asset_graph()
        chosen = AssetSelection.assets(*only).upstream() if only else AssetSelection.all()
        names = {name_of(key) for key in chosen.resolve(graph)}
        runner.land(names)
        runner.settle(names)
        assert not [f for f in runner.outcome.failures if not f.startswith("check ")], runner.outcome.failures
        return runner

    def settled(self) -> None:
        """As `settle`, of a project of which nothing was landed yet, and that no test has patched: from a template."""
        settle_from_template(self, self.settle)

    def requested(self) -> dict[str, set[str]]:
        """What the automation asks for in one tick, by asset."""
        tick = evaluate_automation_conditions(self.definitions, self.instance)
        graph = self.definitions.resolve_asset_graph()
        found = {key.path[-1]: tick.get_requested_partitions(key) for key in graph.get_all_asset_keys()}
        return {name: {str(key) for key in keys} for name, keys in found.items() if keys}

    def tables(self, without: Sequence[str] = ()) -> Tables:
        """All rows of every partitioned asset, sorted, by asset and day, without some columns."""
        found: Tables = {}
        with ExitStack() as stack:
            # To open a database takes longer than to read a small table.
            reader = stack.enter_context(DuckDBWarehouse(self.settings).reading()) if self.models else None
            frames = {asset: self.frame(asset, reader).drop(without, strict=False) for asset in self.assets}
        for asset, frame in frames.items():
            text = frame.select(pl.all().cast(pl.String).fill_null("∅")) if frame.height else frame
            for row, at in zip(text.rows(), frame["the_day"].to_list(), strict=True):
                found.setdefault((asset, at), []).append(row)
        return {where: sorted(rows) for where, rows in found.items()}

    def frame(self, asset: str, reader: Reader | None = None) -> pl.DataFrame:
        """All rows of an asset, with the partition's day as `the_day`; `reader` is a connection that is open."""
        if self.kind(asset) is AssetKind.RAW:
            files = sorted((self.settings.raw_dir / asset).glob("_day=*/data.parquet"))
            frames = [
                pl.read_parquet(file, glob=False).with_columns(
                    the_day=date.fromisoformat(file.parent.name.removeprefix("_day="))
                )
                for file in files
            ]
            return pl.concat(frames, how="diagonal_relaxed")
        if self.kind(asset) is AssetKind.PUBLISHED:
            return self.published_frame(asset.removeprefix("published_"))
        node = self.node(asset)
        with nullcontext(reader) if reader else DuckDBWarehouse(self.settings).reading() as opened:
            return opened.frame(f"select *, {node['config']['meta']['day']} as the_day from {node['schema']}.{asset}")

    def published_frame(self, domain: str) -> pl.DataFrame:
        """All rows of a domain in the published copy, each as one text, with the table and the day."""
        frames = []
        with duckdb.connect(str(self.settings.published_file), read_only=True) as connection:
            for node in public_models(self.declared.manifest, domain):
                if node.holds_rows:
                    columns = f"'{node.name}' as name, t::text as row, {node.day} as the_day"
                    frames.append(connection.execute(f"select {columns} from {node.schema}.{node.alias} t").pl())
        return pl.concat(frames)

    def node(self, model: str) -> dict:
        """The manifest's node of a model."""
        return dict(self.declared.manifest.nodes[f"model.analytics.{model}"].raw)

    def seed(self, name: str) -> dict:
        """The manifest's node of a seed."""
        return dict(self.declared.manifest.nodes[f"seed.analytics.{name}"].raw)

    def forget_builds(self) -> None:
        """Empties raw and warehouse; ledger and landed pieces stay."""
        shutil.rmtree(self.settings.raw_dir, ignore_errors=True)
        shutil.rmtree(self.settings.warehouse_file.parent, ignore_errors=True)
        shutil.rmtree(self.settings.published_file.parent, ignore_errors=True)

    def copy_to(self, folder: Path, *, with_state: bool = False) -> "Project":
        """A second project that starts from this one's data, under a Dagster that knows of it or of nothing."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("home"))
        copy = Project(folder, self.domains, self.changes)
        if with_state:
            for storage in STORAGES:
                database_of(self, storage).backup(database_of(copy, storage))
        return copy

    def drop(self, source: str, name: str, content: bytes | str) -> Path:
        """Puts a file into the inbox."""
        file = self.settings.inbox_dir / source / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file
