import pytest

from analytics_assets.cli.selection import selected
from analytics_assets.definitions import defs

GRAPH = defs.resolve_asset_graph()
MART = "mart_company_daily"
ABOVE = {
    MART, "mart_consent_breakdown_daily", "stg_consent_events", "src_consent_events", "raw_consent_events",
    "landed_consent_events", "stg_companies", "src_companies", "raw_companies", "landed_companies",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MART, {MART}),
        (f'"{MART}"', {MART}),
        (f"+{MART}", ABOVE),
        (f"+key:{MART}", ABOVE),
        (f"1+{MART}", {MART, "mart_consent_breakdown_daily"}),
        (f"{MART}+1", {MART, "published_consent"}),
        (f"{MART} or stg_companies", {MART, "stg_companies"}),
        ("raw_compan*", {"raw_companies"}),
        (f"sinks(+{MART})", {MART}),
    ],
)
def test_a_selection_means_what_it_means_in_dagster(text: str, expected: set[str]) -> None:
    assert selected(text, GRAPH) == expected


def test_all_is_all() -> None:
    assert selected("*", GRAPH) == {key.path[-1] for key in GRAPH.get_all_asset_keys()}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mart_company_dayli", "did you mean mart_company_daily?"),
        ("group:concent", "did you mean group:consent?"),
        ("zzz", "dagster asset list"),
        (f"+{MART} and not group:consent", "selects no asset"),
        ("", "is no selection"),
        (f"{MART}, stg_companies", "is no selection"),
        (f"*{MART}", f"write +{MART} for all that it is made from"),
    ],
)
def test_one_of_nothing_is_an_error_with_a_suggestion(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="--select") as error:
        selected(text, GRAPH)
    assert said in str(error.value)
