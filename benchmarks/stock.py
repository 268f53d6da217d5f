"""The same raw days and models, run as most projects do: `@dbt_assets`, dbt as a program, one process per step."""

import json
import sys
from pathlib import Path

from dagster import AssetExecutionContext, Definitions, multiprocess_executor
from dagster_dbt import DbtCliResource, dbt_assets

from analytics_assets.build import open_project
from analytics_assets.dbt.project import DBT_PROJECT_DIR
from analytics_assets.dbt.translator import ModelTranslator
from analytics_assets.dbt.variables import project_vars, window_vars
from analytics_assets.defs import find_domains
from analytics_assets.ingest.assets import build_source_assets
from analytics_assets.partitions import UTC_DAYS, Window
from analytics_assets.settings import get_settings
from analytics_assets.warehouse.raw_day_writer import ParquetByDay

_settings = get_settings()
_project = open_project(_settings, find_domains())


@dbt_assets(
    manifest=_project.manifest.raw,
    partitions_def=_project.partitions(UTC_DAYS),
    dagster_dbt_translator=ModelTranslator(_project, {}),
)
def models(context: AssetExecutionContext, dbt: DbtCliResource):  # type: ignore[no-untyped-def]
    variables = project_vars(_settings, _project.sources) | window_vars(Window.of_run(context))
    arguments = ["build", "--exclude-resource-type", "unit_test", "--vars", json.dumps(variables)]
    yield from dbt.cli(arguments, context=context, target_path=_settings.data_dir / "stock_target").stream()


defs = Definitions(
    assets=[
        *(build_source_assets(_project, domain, s)[1] for domain in _project.domains for s in domain.sources),
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
