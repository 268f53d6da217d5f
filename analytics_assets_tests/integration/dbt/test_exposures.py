"""Who reads what, as dbt's docs and lineage show it: each report or analysis is an exposure, and each exposure one."""

import json
import re
import shutil
from pathlib import Path

import pytest

from analytics_assets.build import build_definitions, open_project
from analytics_assets.dbt import project as dbt
from analytics_assets.dbt.code_versions import code_versions
from analytics_assets.dbt.manifest import usable_manifest
from analytics_assets.defs import find_domains
from analytics_assets.spec.model_node import Manifest
from analytics_assets_tests.support.project import test_settings as settings_in


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return dbt.load_manifest(settings_in(tmp_path_factory.mktemp("project")))


def test_every_report_and_analysis_is_an_exposure_of_its_domain_and_reads_what_that_says(
    manifest: Manifest, tmp_path: Path
) -> None:
    project = open_project(settings_in(tmp_path), find_domains())
    reports = {
        read.name: {
            "domain": domain.name,
            "owner": domain.owner,
            "title": read.title,
            "reads": set(project.models_behind([one.model for part in read.parts for one in part.datasets])),
            "assets": [file.asset(read.name) for file in read.files],
        }
        for domain in find_domains()
        for read in domain.reports
    } | {
        analysis.name: {
            "domain": domain.name,
            "owner": domain.owner,
            "title": analysis.title,
            "reads": set(project.models_behind(analysis.reads)),
            "assets": [analysis.name],
        }
        for domain in find_domains()
        for analysis in domain.analyses
    }
    exposures = {
        exposure["name"]: {
            "domain": Path(exposure["original_file_path"]).parent.name,
            "owner": exposure["owner"]["name"],
            "title": exposure["label"],
            "reads": {manifest.nodes[node].name for node in exposure["depends_on"]["nodes"]},
            "assets": exposure["config"]["meta"]["assets"],
        }
        for exposure in manifest.raw["exposures"].values()
    }
    assert len(reports) >= 3
    assert exposures == reports


def test_an_exposure_names_assets_that_there_are_and_the_file_that_they_write(
    manifest: Manifest, tmp_path: Path
) -> None:
    settings = settings_in(tmp_path)
    graph = build_definitions(open_project(settings, find_domains())).resolve_asset_graph()
    known = {key.path[-1] for key in graph.get_all_asset_keys()}
    for exposure in manifest.raw["exposures"].values():
        meta = exposure["config"]["meta"]
        assert set(meta["assets"]) <= known
        ending = {"dashboard": "html", "analysis": "csv"}[exposure["type"]]
        assert meta["file"] == f"data/{settings.exports_dir.name}/{meta['assets'][0]}.{ending}"


def test_an_exposure_goes_with_a_model_that_it_reads_and_the_others_stay(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gone,) = (e for e in manifest.raw["exposures"].values() if e["name"] == "campaigns")
    (model,) = gone["depends_on"]["nodes"]
    usable, said = usable_manifest(manifest, {model: "it is no good"})
    assert {exposure["name"] for exposure in usable.raw["exposures"].values()} == {
        exposure["name"] for exposure in manifest.raw["exposures"].values()
    } - {"campaigns"}
    assert gone["unique_id"] not in usable.raw["parent_map"]
    assert "it is no good; it is left out" in said

    # dagster-dbt follows each exposure to what it reads, and stops at one that is not there.
    monkeypatch.setattr(dbt, "_loaded", lambda settings: (usable, said))
    graph = build_definitions(open_project(settings_in(tmp_path), find_domains())).resolve_asset_graph()
    known = {key.path[-1] for key in graph.get_all_asset_keys()}
    assert "stg_campaigns" in known
    assert manifest.nodes[model].name not in known


def test_what_yml_files_say_in_words_changes_no_code_version(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [source for domain in find_domains() for source in domain.sources]
    copy = tmp_path / "dbt_project"
    shutil.copytree(dbt.DBT_PROJECT_DIR, copy, ignore=shutil.ignore_patterns("target", "logs"))
    edited = 0
    for file in copy.rglob("models/**/*.yml"):
        if file.name == "_exposures.yml":
            file.unlink()
            continue
        text, count = re.subn(r"description: (?=\w)", "description: In other words, ", file.read_text())
        file.write_text(text)
        edited += count
    assert edited > 100
    sql = copy / "models/marts/consent/mart_company_daily.sql"
    sql.write_text(f"-- other code\n{sql.read_text()}")

    monkeypatch.setattr(dbt, "DBT_PROJECT_DIR", copy)
    parsed = dbt.prepare_manifest(settings_in(tmp_path / "data"))
    other = Manifest({**json.loads(parsed.manifest), "vars": manifest.raw["vars"]})
    assert not other.raw["exposures"]
    before, after = code_versions(manifest, sources), code_versions(other, sources)
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed == {"model.analytics.mart_company_daily"}
