"""What the models of attribution make of files whose truth is known: simulated and made in a folder of their own.

The truth is the lift of each channel (`simulator.true_lift`): the conversions that would be missing without it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random

import polars as pl

from analytics_assets.defs.attribution.models_report import MODELS_REPORT
from analytics_assets.defs.attribution.simulator import true_lift
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.settings import Settings
from analytics_assets.spec.analysis import ENDING
from analytics_assets.spec.asset import name_of
from analytics_assets.state.builds import newest_export

LAST_DAY = date(2026, 3, 31)
"""The same days each time, so that the same seed gives the same table."""


def made_in(folder: Path, days: int, scale: float, seed: int) -> tuple[pl.DataFrame, dict[str, float]]:
    """The table of all models for simulated files, and the true lift of each channel.

    Args:
        folder: where everything is made; it must not hold another project.

    Raises:
        RuntimeError: something could not be made.
    """
    from dagster import DagsterInstance

    from analytics_assets.build import build_definitions, open_project
    from analytics_assets.defs.attribution import DOMAIN
    from analytics_assets.operations.runner import Runner

    window = Window.of_days(LAST_DAY - (days - 1) * ONE_DAY, LAST_DAY)
    settings = Settings(
        _env_file=None,
        data_dir=folder,
        dagster_home=folder / "home",
        warehouse="duckdb",
        start_date=window.start,
        end_date=LAST_DAY,
        inbox_settle_seconds=0,
    )
    domain = replace(DOMAIN, reports=())
    domain.simulate(settings.inbox_dir, window, scale, Random(seed))
    project = replace(open_project(settings, [domain]), faults=())  # models of other domains are not needed
    definitions = build_definitions(project)
    names = {name_of(key) for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    with DagsterInstance.ephemeral() as instance:
        runner = Runner(definitions, project, instance)
        runner.land(names)
        runner.settle(names)
    if MODELS_REPORT.name not in runner.outcome.made:
        raise RuntimeError(f"{MODELS_REPORT.name} was not made: {'; '.join(runner.outcome.failures)}")
    table = pl.read_csv(newest_export(settings, MODELS_REPORT.name, ENDING))
    return table, true_lift(window, scale, Random(seed))


def verdicts(table: pl.DataFrame, lift: Mapping[str, float]) -> pl.DataFrame:
    """How near each model comes to the truth, the nearest first.

    Columns: `model`; `rank_correlation` (Spearman) of credit and lift over the channels; `misplaced`, the share of the
    conversions that it credits to another channel than their share of the lift would be; and `order`, its channels from
    the largest credit down.
    """
    whole = sum(lift.values())
    truth = pl.DataFrame({"channel": [*lift], "truth": [each / whole for each in lift.values()]})
    told = table.join(truth, on="channel").sort("model", "share", descending=[False, True])
    return (
        told.group_by("model", maintain_order=True)
        .agg(
            pl.corr("share", "truth", method="spearman").alias("rank_correlation"),
            ((pl.col("share") - pl.col("truth")).abs().sum() / 2).alias("misplaced"),
            pl.col("channel").alias("order"),
        )
        .sort("misplaced", "model")
    )


def true_order(lift: Mapping[str, float]) -> list[str]:
    """The channels from the largest lift down."""
    return sorted(lift, key=lambda channel: -lift[channel])
