"""What a model says in its meta exists, or the model is left out by name."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from analytics_assets.dbt.model_meta import meta_faults
from analytics_assets.dbt.project import load_manifest, project_faults
from analytics_assets.spec.model_node import Manifest
from analytics_assets_tests.support.project import DOMAINS, Project, test_settings
from analytics_assets_tests.support.shop import MODELS, SHOP, model, written

SOURCES = [source.name for domain in DOMAINS for source in domain.sources]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_manifest(test_settings(tmp_path_factory.mktemp("meta"))).raw


def changed(manifest: Any, name: str, **config: Any) -> Any:
    """The manifest with another config of one model."""
    found = deepcopy(manifest)
    found["nodes"][f"model.analytics.{name}"]["config"].update(config)
    return found


SESSIONIZED = "int_events_sessionized"


def reads(model: str, days: Any, **said: Any) -> dict[str, Any]:
    return {"reads": [{"model": model, "days": days, **said}]}


BY_CAMPAIGN = {"key": "campaign_id", "of": "src_campaigns", "columns": ["platform"]}


def keyed(**said: Any) -> dict[str, Any]:
    by_key = {"key": "customer_id", "of": SESSIONIZED, "columns": ["device"], **said}
    return {"reads": [*reads(SESSIONIZED, [0, 1])["reads"], *reads(SESSIONIZED, [None, 0], **by_key)["reads"]]}


WINDOW = reads(SESSIONIZED, [0, 1])
SUMS = {"measures_of": "mart_sessions", "measures": {"sessions": 1, "events": "events"}}


def faults_of(manifest: Any) -> str:
    """All faults, a line each; another model may stumble over the first, too."""
    return "\n".join(meta_faults(Manifest(manifest), SOURCES).values())


@pytest.mark.parametrize(
    ("name", "meta", "fault"),
    [
        ("mart_sessions", {"dya": "session_date"}, "meta says dya, .*: did you mean day\\?"),
        ("mart_sessions", {"day": "sesion_date"}, "meta.day names sesion_date, .*: did you mean session_date\\?"),
        ("mart_sessions", {"day": ["session_date"]}, "must be the name of a column"),
        ("mart_sessions", reads("int_events_sessionised", [0, 1]), "did you mean int_events_sessionized\\?"),
        ("mart_sessions", reads("stg_clickstream", [0, 1]), "names stg_clickstream, .* models that it reads"),
        ("mart_sessions", reads(SESSIONIZED, [1, 0]), "two whole numbers, first to last"),
        ("mart_sessions", reads(SESSIONIZED, [1]), "two whole numbers, first to last"),
        ("mart_sessions", reads(SESSIONIZED, 1), "two whole numbers, first to last"),
        ("mart_sessions", reads(SESSIONIZED, ["0", "1"]), "two whole numbers, first to last"),
        ("mart_sessions", reads(SESSIONIZED, [-0.5, 1]), "two whole numbers, first to last"),
        ("mart_sessions", {"reads": {SESSIONIZED: [0, 1]}}, "it must be like"),
        ("mart_sessions", {"reads": []}, "asks for in_window\\(…, of='int_events_sessionized'\\)"),
        ("mart_sessions", {"reads": WINDOW["reads"] * 2}, "meta.reads names int_events_sessionized twice"),
        ("mart_sessions", reads(SESSIONIZED, [0, 1], kye="customer_id"), "did you mean key\\?"),
        ("mart_sessions", reads(SESSIONIZED, [0, 1], key="customer_id"), "by key, it must say key, of and columns"),
        ("mart_sessions", keyed(of="int_events"), "says of: int_events, .* did you mean int_events_sessionized"),
        ("mart_sessions", keyed(key="customer"), "names customer, .* did you mean customer_id"),
        ("mart_sessions", keyed(columns=["devices"]), "names devices, .* did you mean device"),
        ("stg_campaigns", reads("src_campaigns", [0, 0], **BY_CAMPAIGN), "src_campaigns with a key, but it is a view"),
        ("mart_sessions", keyed(columns=["_Day"]), "names _day, which the project keeps for itself"),
        ("mart_sessions", keyed(), "names int_events_sessionized with a key, and its SQL never reads by_key"),
        ("mart_sessions_daily", {"adds_up": "rows_of"}, "it must be like"),
        ("mart_sessions_daily", {"adds_up": {}}, "must name one of .* none"),
        ("mart_sessions_daily", {"adds_up": {"row_of": "mart_sessions"}}, "did you mean rows_of\\?"),
        ("mart_sessions_daily", {"adds_up": {**SUMS, "rows_of": "mart_sessions"}}, "rows_of and measures_of"),
        ("mart_sessions_daily", {"adds_up": {"rows_of": "mart_session"}}, "did you mean mart_sessions\\?"),
        ("mart_sessions_daily", {"adds_up": {"rows_of": "rpt_sessions"}}, "models with days"),
        ("mart_sessions_daily", {"adds_up": {"rows_of_raw": "click"}}, "none of the sources with a spec"),
        ("mart_sessions_daily", {"adds_up": {"measures_of": "mart_sessions"}}, "must say both"),
        ("mart_sessions_daily", {"adds_up": {**SUMS, "measures": {"sesions": 1}}}, "did you mean sessions\\?"),
        ("mart_sessions_daily", {"adds_up": {**SUMS, "measures": {"events": "event"}}}, "did you mean events\\?"),
        ("mart_sessions_daily", {"adds_up": {**SUMS, "counted_on": "the_day"}}, "counted_on names the_day"),
        ("mart_sessions_daily", {"adds_up": None}, "it must be like"),
    ],
)
def test_a_name_that_does_not_exist_is_named_by_file_and_model(
    manifest: Any, name: str, meta: dict[str, Any], fault: str
) -> None:
    held = manifest["nodes"][f"model.analytics.{name}"]["config"]["meta"]
    page = "(?m)^models/[a-z/]+/_[a-z_]+.yml: " + name + ": .*"
    assert re.search(page + fault, faults_of(changed(manifest, name, meta={**held, **meta})))


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"materialized": "table"}, "is materialized as table"),
        ({"incremental_strategy": "append"}, "does not replace the days of a run"),
        ({"incremental_strategy": "merge"}, "does not replace the days of a run"),
        ({"meta": {"day": "session_date", **WINDOW}}, "its test adds_up needs meta.adds_up"),
        ({"meta": WINDOW}, "without meta.day"),
    ],
)
def test_a_model_whose_runs_would_not_replace_their_days_is_named(
    manifest: Any, config: dict[str, Any], fault: str
) -> None:
    assert re.search(fault, faults_of(changed(manifest, "mart_sessions", **config)))


def test_meta_of_tests_is_looked_at_too(manifest: Any) -> None:
    found = deepcopy(manifest)
    test = next(node for name, node in found["nodes"].items() if "platforms_are_known" in name)
    test["config"]["meta"] = {"descripton": "Platforms are those that the models were written for."}
    assert re.search(r"platforms_are_known says descripton, .* did you mean description", faults_of(found))
    test["config"]["meta"] = {}
    del test["attached_node"]  # of a singular test
    assert faults_of(found) == ""


def test_the_model_is_left_out_and_the_others_are_there(tmp_path: Path) -> None:
    more = model("mart_orders", "select * from {{ ref('stg_orders') }} where {{ in_window('order_date') }}", "{dy: x}")
    with written(tmp_path / "dbt", {**MODELS, **more}):
        project = Project(tmp_path / "data", [SHOP])
        (fault,) = project_faults(project.settings)
        assert re.match(r"models/marts/shop/_mart_orders.yml: mart_orders: meta says dy.*; it is left out$", fault)
        assert {"src_orders", "stg_orders"} <= set(project.assets)
        assert "mart_orders" not in project.assets
