"""Models of attribution on simulated files, whose truth is known: which recover the order of the channels."""

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from random import Random

import numpy as np
import polars as pl
import pytest

from analytics_assets.defs.attribution.counterfactual import Sets
from analytics_assets.defs.attribution.markov import Chain
from analytics_assets.defs.attribution.paths import Numbers, Paths, linear_shares
from analytics_assets.defs.attribution.simulator import _add_lift, simulate, true_lift
from analytics_assets.defs.attribution.truth import made_in, true_order, verdicts
from analytics_assets.partitions import Window
from analytics_assets.settings import PROJECT_DIR

DAYS = Window.of_days(date(2026, 1, 1), date(2026, 3, 1))
SCALE = 4.0


def test_what_would_be_missing_without_a_channel_by_hand() -> None:
    lift = dict.fromkeys("abc", 0.0)
    _add_lift(lift, [("a", 0.5), ("b", 0.2)])  # 1 - 0.5 × 0.8 = 0.6; without a the touch of b has 0.2
    assert lift == pytest.approx({"a": 0.4, "b": 0.6, "c": 0})
    _add_lift(lift, [("a", 0.5), ("b", 0.2), ("a", 0.1)])  # 0.64; without a there is no touch, without b it has 0.55
    assert lift == pytest.approx({"a": 0.4 + 0.64, "b": 0.6 + 0.64 - 0.55, "c": 0})


def test_a_verdict_by_hand() -> None:
    table = pl.DataFrame(
        {
            "model": ["good"] * 3 + ["bad"] * 3,
            "channel": ["a", "b", "c"] * 2,
            "share": [0.5, 0.4, 0.1, 0.1, 0.2, 0.7],
        }
    )
    found = verdicts(table, {"a": 6.0, "b": 3.0, "c": 1.0}).rows()
    assert found[0] == ("good", pytest.approx(1), pytest.approx(0.1), ["a", "b", "c"])
    assert found[1] == ("bad", pytest.approx(-1), pytest.approx(0.6), ["c", "b", "a"])
    assert true_order({"a": 1.0, "b": 3.0, "c": 2.0}) == ["b", "c", "a"]


# -------------------------------------------------------------------------------- without a warehouse, and in seconds


def touches_in(folder: Path) -> pl.DataFrame:
    readers: Mapping[str, Callable[[Path], pl.DataFrame]] = {".parquet": pl.read_parquet, ".jsonl": pl.read_ndjson}
    frames = []
    for file in sorted(folder.iterdir()):
        read = readers.get(file.suffix, lambda file: pl.read_csv(file, infer_schema=False))
        frames.append(read(file).select(pl.all().cast(pl.String)))
    at = pl.col("touchpoint_date").str.slice(0, 19).str.replace("T", " ").str.to_datetime(strict=False).alias("at")
    return pl.concat(frames, how="diagonal").with_columns(at).drop_nulls(["at", "user_id"]).unique(maintain_order=True)


@pytest.fixture(scope="module")
def shares(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, float]]:
    """By model, the share of each channel; and the truth."""
    simulate(inbox := tmp_path_factory.mktemp("inbox"), DAYS, SCALE, Random(1))
    counts: dict[tuple[str, ...], tuple[float, float]] = {}

    def count(path: list[str], place: int) -> None:
        held = [*counts.get(tuple(path), (0.0, 0.0))]
        held[place] += 1
        counts[tuple(path)] = (held[0], held[1])

    rows = touches_in(inbox / "user_touchpoints").sort("user_id", "at", "conversion")
    columns = ("user_id", "at", "channel", "touchpoint_type", "conversion")
    for _, of_user in groupby(rows.select(columns).rows(), key=itemgetter(0)):
        touches = [row[1:] for row in of_user]
        since = 0
        for place, (at, *_, conversion) in enumerate(touches):
            if conversion == "true":
                lasts = {"ad_impression": timedelta(1)}
                kept = [one[1] for one in touches[: place + 1] if at - one[0] <= lasts.get(one[2], timedelta(30))]
                count(kept, 0)
                since = place + 1
        if since < len(touches):
            count([one[1] for one in touches[since:]], 1)
    paths = Paths.of(counts)
    places = {channel: place for place, channel in enumerate(paths.channels)}

    def at_end(end: int) -> Numbers:
        ends = [places[path[end]] for path in paths.paths]
        return np.bincount(ends, paths.converting, minlength=len(places)) / paths.conversions

    found = {
        "first_touch": at_end(0),
        "last_touch": at_end(-1),
        "linear": linear_shares(paths),
        **{f"markov_{order}": Chain(paths, order).shares(paths) for order in (1, 2, 3)},
        "counterfactual": Sets(paths).shares(paths),
    }
    lift = true_lift(DAYS, SCALE, Random(1))
    whole = sum(lift.values())
    by_channel = {model: dict(zip(paths.channels, map(float, of), strict=True)) for model, of in found.items()}
    return {**by_channel, "truth": {channel: each / whole for channel, each in lift.items()}}


def rank_correlation(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    ranks = [np.argsort(np.argsort([of[channel] for channel in sorted(of)])) for of in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])


MODELS = ("last_touch", "linear", "markov_1", "markov_2", "markov_3", "counterfactual")


@pytest.mark.parametrize("model", MODELS)
def test_models_that_see_more_than_the_first_touch_recover_the_order_of_all_channels_that_matter(
    shares: Mapping[str, Mapping[str, float]], model: str
) -> None:
    """Twitter, affiliate and organic have about the same lift: none is told apart from the next with certainty."""
    truth = shares["truth"]
    weak = set(sorted(truth, key=lambda channel: truth[channel])[:3])
    assert weak == {"twitter", "affiliate", "organic"}
    assert set(sorted(shares[model], key=lambda channel: shares[model][channel])[:3]) == weak
    assert rank_correlation(shares[model], truth) > 0.8


def test_the_first_touch_does_not_see_what_never_opens_a_path(shares: Mapping[str, Mapping[str, float]]) -> None:
    """Email has the largest effect of all, and a sixth of the lift, but it reaches users only after their install."""
    truth, first = shares["truth"], shares["first_touch"]
    assert truth["email"] > 0.12 > 0.03 > first["email"]
    assert rank_correlation(first, truth) < min(rank_correlation(shares[model], truth) for model in MODELS)


def test_removal_effects_favour_channels_that_are_often_there_and_do_little(
    shares: Mapping[str, Mapping[str, float]],
) -> None:
    """They count how many converting walks touch a channel, not what it does there."""
    for model in ("markov_1", "markov_2", "markov_3"):
        weak = sum(shares[model][channel] for channel in ("twitter", "affiliate", "organic"))
        assert weak > sum(shares["truth"][channel] for channel in ("twitter", "affiliate", "organic")) + 0.05


# --------------------------------------------------------------------------------------------------- by the real models


@pytest.mark.proof
def test_the_docs_show_what_the_command_finds(tmp_path: Path) -> None:
    table, lift = made_in(tmp_path, 60, 2.0, 1)
    page = (PROJECT_DIR / "docs" / "attribution.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([\d.-]+) \| ([\d.]+) % \|", page, re.MULTILINE)
    found = [
        (model, f"{rank:.2f}", f"{misplaced:.1%}"[:-1]) for model, rank, misplaced, _ in verdicts(table, lift).rows()
    ]
    assert rows == found
