"""The diagrams of the tables, drawn from the manifest."""

import re
from pathlib import Path

import pytest
import yaml

from analytics_assets.dbt.erd import erd_page
from analytics_assets.dbt.project import DBT_PROJECT_DIR, load_manifest
from analytics_assets.spec.model_node import Manifest
from analytics_assets_tests.support.project import DOMAINS
from analytics_assets_tests.support.project import test_settings as settings_in

NAMES = [domain.name for domain in DOMAINS]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return load_manifest(settings_in(tmp_path_factory.mktemp("project")))


def models_in_yml() -> list[tuple[Path, dict]]:
    files = sorted(DBT_PROJECT_DIR.glob("models/**/*.yml"))
    return [(file, model) for file in files for model in yaml.safe_load(file.read_text()).get("models", ())]


def test_each_reference_of_the_yml_files_is_a_line(manifest: Manifest) -> None:
    lines = re.findall(r'^    (\w+) (}o|\|o|\|\|)--o{ (\w+) : "(.*)"$', erd_page(manifest, NAMES), re.M)
    by_test, by_key = set(), set()
    for _, model in models_in_yml():
        for column in model.get("columns", ()):
            for test in column.get("data_tests", ()):
                if isinstance(test, dict) and "relationships" in test:
                    said = test["relationships"]
                    end = "|o" if said.get("config", {}).get("severity") == "warn" else "||"
                    end = "}o" if said["arguments"].get("on_any_day") else end
                    by_test.add((said["arguments"]["to"][5:-2], end, model["name"], column["name"]))
        for read in model.get("config", {}).get("meta", {}).get("reads", ()):
            if read.get("key") and read["of"] != read["model"]:
                keys = [read["key"]] if isinstance(read["key"], str) else read["key"]
                by_key.add((read["model"], "}o", read["of"], ", ".join(keys)))
    assert by_test and by_key
    assert set(lines) == by_test | by_key
    assert len(lines) == len(by_test | by_key)


def test_each_end_of_a_line_and_each_public_table_is_drawn_with_its_day_and_key(manifest: Manifest) -> None:
    page = erd_page(manifest, NAMES)
    drawn = dict(re.findall(r"^    (\w+) {\n((?:        .*\n)*)    }$", page, re.M))
    ends = re.findall(r"^    (\w+) \S+--o{ (\w+) :", page, re.M)
    assert {name for line in ends for name in line} <= drawn.keys()
    for file, model in models_in_yml():
        day = model.get("config", {}).get("meta", {}).get("day")
        if file.parts[-3] == "marts":
            assert f"        day {day}" in drawn[model["name"]]
        for test in model.get("data_tests", ()):
            if model["name"] in drawn and isinstance(test, dict) and "unique_together" in test:
                keys = re.findall(r"^        \w+ (\w+) PK", drawn[model["name"]], re.M)
                assert set(keys) == set(test["unique_together"]["arguments"]["columns"])
    assert "stg_users" in drawn
    assert "src_users" not in drawn, "the raw rows of staging are its own"
