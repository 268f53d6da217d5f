"""The same raw days and models as most projects run them: `@dbt_assets`, dbt as a program, a process a step."""

import json
import sys
from pathlib import Path

from dagster import AssetExecutionContext, Definitions, multiprocess_executor
from dagster_dbt import DbtCliResource, dbt_assets

from analytics_assets.automation import Automation
from analytics_assets.definitions import DOMAINS
from analytics_assets.ingest.raw import build_source_assets
from analytics_assets.partitions import Window, daily_partitions
from analytics_assets.settings import get_settings
from analytics_assets.warehouse.dbt import DBT_PROJECT_DIR, load_manifest, project_vars, window_vars
from analytics_assets.warehouse.lake import ParquetByDay
from analytics_assets.warehouse.translator import ModelTranslator

_settings = get_settings()
_sources = [source for domain in DOMAINS for source in domain.sources]
_partitions = daily_partitions(_settings)
_automation = Automation(_settings, _sources)


@dbt_assets(
    manifest=load_manifest(_settings),
    partitions_def=_partitions,
    dagster_dbt_translator=ModelTranslator("team:bench", "bench", _automation, {}),
)
def models(context: AssetExecutionContext, dbt: DbtCliResource):  # type: ignore[no-untyped-def]
    variables = project_vars(_settings, _sources) | window_vars(Window.of_run(context))
    arguments = ["build", "--exclude-resource-type", "unit_test", "--vars", json.dumps(variables)]
    yield from dbt.cli(arguments, context=context, target_path=_settings.data_dir / "stock_target").stream()


defs = Definitions(
    assets=[
        *(build_source_assets(s, _settings, _partitions, _automation, "bench", "team:bench")[1] for s in _sources),
        models,
    ],
    resources={
        "lake": ParquetByDay(folder=str(_settings.raw_dir)),
        "dbt": DbtCliResource(
            project_dir=str(DBT_PROJECT_DIR),
            profiles_dir=str(DBT_PROJECT_DIR),
            dbt_executable=str(Path(sys.executable).with_name("dbt")),
        ),
    },
    executor=multiprocess_executor,
)
