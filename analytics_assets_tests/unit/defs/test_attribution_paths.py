"""Models of attribution over all paths: against chains worked out by hand, walks step by step, and what must hold."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from fractions import Fraction
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_assets.defs.attribution import markov
from analytics_assets.defs.attribution.counterfactual import Sets
from analytics_assets.defs.attribution.intervals import Z, interval_of_sum, resampled
from analytics_assets.defs.attribution.markov import Chain
from analytics_assets.defs.attribution.paths import Numbers, Path, Paths, linear_shares, path_in, shares_of
from analytics_assets_tests.support.project import IN_FULL

Counts = Mapping[str, tuple[float, float]]
"""By path (a letter is a channel): how often it converted, and how often it did not."""


def paths_of(counts: Counts) -> Paths:
    return Paths.of({tuple(text): of_path for text, of_path in counts.items()})


def by_channel(paths: Paths, values: Numbers) -> dict[str, float]:
    return dict(zip(paths.channels, map(float, values), strict=True))


def effects(counts: Counts, order: int = 1) -> dict[str, float]:
    paths = paths_of(counts)
    return by_channel(paths, Chain(paths, order).removal_effects(paths))


MODELS: Mapping[str, Callable[[Paths], Numbers]] = {
    **{f"markov_{order}": (lambda paths, order=order: Chain(paths, order).shares(paths)) for order in (1, 2, 3)},
    "counterfactual": lambda paths: Sets(paths).shares(paths),
}

COUNTS = st.dictionaries(
    st.text("abcd", min_size=1, max_size=5),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    min_size=1,
    max_size=8,
)


# ------------------------------------------------------------------------------------------------- worked out by hand


def test_removal_effects_of_a_chain_by_hand() -> None:
    """a > b > c converts; a does not, nor does b > c.

    From the start to a 2/3, to b 1/3. From a to b 1/2; from b to c 1; from c to a conversion 1/2. So a conversion has
    the chance (2/3 × 1/2 + 1/3) × 1/2 = 1/3. Without a: 1/3 × 1/2 = 1/6, so that half is missing. Without b or c: none.
    """
    counts = {"abc": (1, 0), "a": (0, 1), "bc": (0, 1)}
    assert effects(counts) == pytest.approx({"a": 1 / 2, "b": 1, "c": 1})
    assert by_channel(paths_of(counts), MODELS["markov_1"](paths_of(counts))) == pytest.approx(
        {"a": 0.2, "b": 0.4, "c": 0.4}
    )


def test_a_chain_with_a_loop_by_hand() -> None:
    """a > a > b converts, a does not.

    From the start to a 1. From a: to a 1/3, to b 1/3, to null 1/3. From b to a conversion 1. So the chance x of a is
    x = x/3 + 1/3 = 1/2. All of it goes through both.
    """
    assert effects({"aab": (1, 0), "a": (0, 1)}) == pytest.approx({"a": 1, "b": 1})


def test_the_second_order_sees_what_came_before() -> None:
    """a > b converts, b alone does not: in order 1 half of those at b convert, wherever they came from."""
    counts = {"ab": (1, 0), "b": (0, 1)}
    assert effects(counts, 1) == pytest.approx({"a": 1 / 2, "b": 1})
    assert effects(counts, 2) == pytest.approx({"a": 1, "b": 1})


def test_the_third_order_sees_two_touches_back() -> None:
    """a > c > b converts, b > c > b does not: after c and b, order 2 takes the two for the same."""
    counts = {"acb": (1, 0), "bcb": (0, 1)}
    assert effects(counts, 2)["a"] == pytest.approx(1 / 2)
    assert effects(counts, 3)["a"] == pytest.approx(1)


def test_a_state_that_holds_a_removed_channel_leads_to_null() -> None:
    """In order 2, a touch of c after a is lost with a: it is not one of c alone."""
    counts = {"ac": (1, 0), "c": (1, 2)}
    # From the start to a 1/4, to c 3/4; from a > c to a conversion 1, from c alone 1/3: 1/4 + 3/4 × 1/3 = 1/2.
    assert effects(counts, 2) == pytest.approx({"a": 1 / 2, "c": 1})


def test_the_counterfactual_by_hand() -> None:
    """a > b converts in 6 of 10 paths (in any order), a in 2 of 10, b in 5 of 10, c in none of 10."""
    counts = {"ab": (4, 2), "ba": (2, 1), "bab": (0, 1), "a": (2, 8), "b": (5, 5), "c": (0, 10), "cb": (1, 9)}
    # a: 10 × (0.6 - 0.5) and 10 × (0.2 - 0). b: 10 × (0.6 - 0.2), 10 × 0.5 and 10 × (0.1 - 0). c: 0.1 - 0.5 is below 0.
    paths = paths_of(counts)
    assert by_channel(paths, Sets(paths).effects(paths)) == pytest.approx({"a": 1 + 2, "b": 4 + 5 + 1, "c": 0})
    assert by_channel(paths, MODELS["counterfactual"](paths)) == pytest.approx({"a": 3 / 13, "b": 10 / 13, "c": 0})


def test_a_set_without_the_channel_that_no_path_has_counts_as_never_converting() -> None:
    paths = paths_of({"ab": (1, 1), "b": (1, 3)})
    assert by_channel(paths, Sets(paths).effects(paths)) == pytest.approx(
        {"a": 2 * (0.5 - 0.25), "b": 2 * 0.5 + 4 * 0.25}
    )


def test_effects_that_add_up_to_nothing_fall_back_to_linear() -> None:
    # Whoever sees both converts no more often than who sees one of them, and nobody converts who saw one.
    paths = paths_of({"ab": (3, 0), "aab": (3, 0)})
    assert by_channel(paths, linear_shares(paths)) == pytest.approx({"a": (1.5 + 2) / 6, "b": (1.5 + 1) / 6})
    assert shares_of(np.zeros(2), paths) == pytest.approx(linear_shares(paths))
    nothing = paths_of({"ab": (0, 3)})
    for shares in MODELS.values():
        assert shares(nothing).tolist() == [0, 0], "there is nothing to divide"


def test_an_order_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="of order 1 or more, not 0"):
        Chain(paths_of({"a": (1, 0)}), 0)


# ------------------------------------------------------------------------------------------------------- step by step


def walked(paths: Paths, order: int, without: str | None) -> float:
    """The chance to convert, by letting all walks go on, step by step; nothing is solved."""
    steps: dict[Path, Counter[object]] = defaultdict(Counter)
    for path, converting, others in zip(paths.paths, paths.converting, paths.others, strict=True):
        state: Path = ()
        for channel in path:
            following = (*state, channel)[-order:]
            steps[state][following] += Fraction(converting + others)
            state = following
        steps[state]["conversion"] += Fraction(converting)
        steps[state]["null"] += Fraction(others)
    here, converted = {(): 1.0}, 0.0
    while max(here.values(), default=0.0) > 1e-12:
        following = defaultdict(float)
        for state, chance in here.items():
            whole = sum(steps[state].values())
            for target, count in steps[state].items():
                share = chance * float(Fraction(count) / whole) if whole else 0.0
                if target == "conversion":
                    converted += share
                elif target != "null" and without not in target:
                    following[target] += share
        here = following
    return converted


@given(COUNTS, st.integers(1, 3))
def test_removal_effects_are_those_of_walks_step_by_step(counts: Counts, order: int) -> None:
    paths = paths_of(counts)
    whole = walked(paths, order, None)
    expected = [1 - walked(paths, order, channel) / whole if whole else 0 for channel in paths.channels]
    found = Chain(paths, order).removal_effects(paths)
    assert found == pytest.approx(expected, abs=1e-8)


@given(COUNTS, st.integers(1, 3))
def test_many_states_give_the_same_as_few(counts: Counts, order: int) -> None:
    paths = paths_of(counts)
    at_once = Chain(paths, order).removal_effects(paths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markov, "MOST_STATES_AT_ONCE", 0)
        assert Chain(paths, order).removal_effects(paths) == pytest.approx(at_once, abs=1e-9)


# -------------------------------------------------------------------------------------------------- what must hold


@pytest.mark.parametrize("name", MODELS)
@given(counts=COUNTS)
def test_shares_are_never_negative_and_add_up_to_one(name: str, counts: Counts) -> None:
    paths = paths_of(counts)
    shares = MODELS[name](paths)
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1 if paths.conversions else 0)


@pytest.mark.parametrize("name", MODELS)
@given(counts=COUNTS)
def test_it_is_the_same_in_each_run_whatever_the_order_of_the_paths(name: str, counts: Counts) -> None:
    backwards = dict(reversed(counts.items()))
    assert MODELS[name](paths_of(counts)).tolist() == MODELS[name](paths_of(backwards)).tolist()


@pytest.mark.parametrize("name", MODELS)
@given(counts=COUNTS)
def test_the_names_of_the_channels_make_no_difference(name: str, counts: Counts) -> None:
    renamed = str.maketrans("abcd", "zyxw")
    before, after = paths_of(counts), paths_of({text.translate(renamed): each for text, each in counts.items()})
    found = by_channel(after, MODELS[name](after))
    expected = by_channel(before, MODELS[name](before))
    assert found == pytest.approx({name.translate(renamed): share for name, share in expected.items()}, abs=1e-9)


@pytest.mark.parametrize("name", MODELS)
@given(counts=COUNTS)
def test_channels_that_do_the_same_get_the_same(name: str, counts: Counts) -> None:
    swapped = str.maketrans("ab", "ba")
    both: dict[str, tuple[float, float]] = {}
    for text, (converting, others) in [*counts.items(), *((t.translate(swapped), c) for t, c in counts.items())]:
        held = both.get(text, (0, 0))
        both[text] = (held[0] + converting, held[1] + others)
    paths = paths_of(both)
    shares = by_channel(paths, MODELS[name](paths))
    assert shares.get("a", 0) == pytest.approx(shares.get("b", 0), abs=1e-9)


@given(COUNTS, st.integers(1, 3))
def test_the_removal_of_a_channel_that_is_in_no_path_changes_nothing(counts: Counts, order: int) -> None:
    """A channel whose paths are counted 0 times is in none, although the chain knows it."""
    paths = paths_of({**counts, "zz": (1, 1), "az": (1, 1)})
    never = np.array([0.0 if "z" in path else 1.0 for path in paths.paths])
    counted = paths.counted(paths.converting * never, paths.others * never)
    found = by_channel(paths, Chain(paths, order).removal_effects(counted))
    assert found.pop("z") == 0
    known = effects(counts, order)
    assert {name: effect for name, effect in found.items() if name in known} == pytest.approx(known, abs=1e-9)


@pytest.mark.parametrize("name", MODELS)
@given(counts=COUNTS)
def test_a_channel_from_which_nobody_converts_gets_nothing(name: str, counts: Counts) -> None:
    """A chain forgets: where others convert after a touch of `a`, so does a part of those at z > a."""
    paths = paths_of({**counts, "z": (0, 3), "az": (0, 2)})
    assert by_channel(paths, MODELS[name](paths))["z"] == 0


@pytest.mark.parametrize("name", MODELS)
@given(channel=st.sampled_from("abc"), count=st.integers(1, 99), others=st.integers(0, 99))
def test_where_each_path_has_one_touch_all_models_agree(name: str, channel: str, count: int, others: int) -> None:
    counts = {"a": (5, 3), "b": (7, 0), "c": (2, 9)} | {channel: (count, others)}
    paths = paths_of(counts)
    assert MODELS[name](paths) == pytest.approx(linear_shares(paths))


def test_there_is_no_limit_to_the_number_of_channels() -> None:
    random = Random(1)
    names = [f"channel {number}" for number in range(60)]
    counts = {
        tuple(random.choices(names, k=random.randint(1, 6))): (random.randint(0, 3), random.randint(0, 9))
        for _ in range(2_000)
    }
    paths = Paths.of(counts)
    assert len(paths.channels) == 60
    for shares in MODELS.values():
        assert shares(paths).sum() == pytest.approx(1)


# ------------------------------------------------------------------------------------------------------- intervals


def test_the_interval_of_a_sum_by_hand() -> None:
    assert interval_of_sum(10.0, 4.0) == (10 - 2 * Z, 10 + 2 * Z)
    assert interval_of_sum(1.0, 4.0) == (0, 1 + 2 * Z)
    assert interval_of_sum(-1.0, 4.0) == (-1 - 2 * Z, -1 + 2 * Z), "more was refunded than paid"


def test_the_interval_of_a_sum_holds_its_mean_in_19_of_20_samples() -> None:
    random, held = np.random.Generator(np.random.PCG64(1)), 0
    for _ in range(2_000):
        parts = random.choice([0.25, 0.5, 1.0], random.poisson(60))
        low, high = interval_of_sum(parts.sum(), (parts**2).sum())
        held += low <= 60 * (0.25 + 0.5 + 1.0) / 3 <= high
    assert 0.935 < held / 2_000 < 0.965


@pytest.mark.parametrize("name", MODELS)
def test_resampled_intervals_are_the_same_in_each_run_and_hold_the_value(name: str) -> None:
    paths = paths_of({"ab": (30, 20), "a": (10, 90), "b": (20, 80), "ba": (3, 20), "c": (1, 40)})
    low, high = resampled(paths, MODELS[name])
    again = resampled(paths, MODELS[name])
    assert (low.tolist(), high.tolist()) == (again[0].tolist(), again[1].tolist())
    value = MODELS[name](paths) * paths.conversions
    assert (low <= value).all() and (value <= high).all() and (low >= 0).all()
    assert (high - low)[:2].min() > 1


def test_resampled_intervals_hold_the_truth_in_19_of_20_samples() -> None:
    """The truth is what very many users would show, for as many as came."""
    wanted = {"ab": (30.0, 20.0), "a": (10.0, 90.0), "b": (20.0, 80.0)}
    truth = MODELS["markov_1"](paths_of(wanted)) * 60
    random, held = np.random.Generator(np.random.PCG64(2)), []
    for seed in range(200 if IN_FULL else 100):
        drawn = {text: tuple(map(float, random.poisson(counts))) for text, counts in wanted.items()}
        low, high = resampled(paths := paths_of(drawn), Chain(paths, 1).shares, seed=seed)
        held.append((low <= truth) & (truth <= high))
    assert (np.mean(held, axis=0) > 0.9).all() and (np.mean(held, axis=0) < 0.99).all()


def test_paths_without_conversions_have_intervals_of_nothing() -> None:
    low, high = resampled(paths_of({"a": (0, 5)}), MODELS["markov_1"])
    assert (low.tolist(), high.tolist()) == ([0], [0])


# ------------------------------------------------------------------------------------------------------------ paths


def test_paths_are_read_from_their_texts_and_conversions_without_touches_are_left_out() -> None:
    rows = pl.DataFrame(
        {
            "path": ["email > tv", "email > tv", "unattributed", "a >> b > >> > c >>"],
            "is_converting": [True, False, True, False],
            "paths": [2, 3, 9, 1],
        }
    )
    paths = Paths.in_rows(rows)
    assert paths.paths == (("a > b", ">", "c >"), ("email", "tv"))
    assert (paths.converting.tolist(), paths.others.tolist()) == ([0, 2], [1, 3])
    assert paths.channels == (">", "a > b", "c >", "email", "tv")


@given(st.lists(st.text("a> ", min_size=1).map(str.strip).filter(bool), min_size=1))
def test_any_names_can_be_told_apart_in_the_text_of_a_path(names: list[str]) -> None:
    assert path_in(" > ".join(name.replace(">", ">>") for name in names)) == tuple(names)
