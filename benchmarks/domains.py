"""The cost of additional domains: the same simulated domain one, three and nine times in one project.

python -m benchmarks.domains FOLDER NUMBER      measures one project with NUMBER domains; prints JSON
"""

import json
import os
import re
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import psutil
from dagster import DagsterInstance, Definitions, build_sensor_context, evaluate_automation_conditions

from analytics_assets.automation.out_of_date_sensor import OutOfDateDaysSensor
from analytics_assets.build import build_definitions, open_project
from analytics_assets.dbt import project as dbt
from analytics_assets.defs import find_domains
from analytics_assets.operations.home import prepare_dagster_home
from analytics_assets.operations.runner import Runner
from analytics_assets.partitions import Window
from analytics_assets.project import Project
from analytics_assets.settings import Settings
from analytics_assets.spec.domain import Domain

DAYS = 30
SCALE = 0.2
TICKS = 5
LATE_ROWS = 5

ORIGINAL = next(domain for domain in find_domains() if domain.name == "consent")
"""The domain to copy: it has two sources, models in every layer, a view, and no seed."""


def copied_domains(number: int) -> list[Domain]:
    """`number` copies of the domain, each with its own sources."""
    return [
        Domain(
            name=f"{ORIGINAL.name}_{copy}",
            owner=ORIGINAL.owner,
            sources=[replace(source, name=f"{source.name}_{copy}") for source in ORIGINAL.sources],
        )
        for copy in range(number)
    ]


def copy_dbt_settings(folder: Path) -> None:
    """Copies the dbt project without any model: its macros, tests and settings."""
    for name in ("macros", "tests"):
        if (dbt.DBT_PROJECT_DIR / name).exists():
            shutil.copytree(dbt.DBT_PROJECT_DIR / name, folder / name)
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(dbt.DBT_PROJECT_DIR / name, folder / name)


def write_dbt_project(folder: Path, number: int) -> None:
    """The dbt project with only the models of that domain, copied `number` times under different names."""
    source = dbt.DBT_PROJECT_DIR
    copy_dbt_settings(folder)
    files = [
        file
        for file in (source / "models").glob(f"*/{ORIGINAL.name}/*")
        if file.suffix in (".sql", ".yml") and file.stem != "_exposures"
    ]
    names = [file.stem for file in files if file.suffix == ".sql"] + [one.name for one in ORIGINAL.sources]
    named = re.compile(rf"\b({'|'.join(names)})\b")
    for copy in range(number):
        for file in files:
            target = folder / "models" / file.parts[-3] / f"{ORIGINAL.name}_{copy}"
            target.mkdir(parents=True, exist_ok=True)
            stem = f"{file.stem}_{copy}"
            (target / f"{stem}{file.suffix}").write_text(named.sub(rf"\1_{copy}", file.read_text(encoding="utf-8")))


def drop_files(inbox: Path, window: Window, number: int) -> None:
    """Drops the same simulated files for each copy."""
    with tempfile.TemporaryDirectory() as folder:
        ORIGINAL.simulate(Path(folder), window, SCALE, Random(1))
        for source in ORIGINAL.sources:
            for copy in range(number):
                shutil.copytree(Path(folder, source.name), inbox / f"{source.name}_{copy}")


def measure(folder: Path, number: int) -> dict[str, float]:
    """Seconds of each piece of work in a project with `number` domains."""
    last = datetime.now(UTC).date() - timedelta(days=1)
    window = Window.of_days(last - timedelta(days=DAYS - 1), last)
    write_dbt_project(folder / "dbt", number)
    dbt.DBT_PROJECT_DIR = folder / "dbt"
    settings = Settings(
        _env_file=None,
        data_dir=folder / "data",
        dagster_home=folder / "home",
        start_date=window.start,
        end_date=last,
        inbox_settle_seconds=0,
        sensor_watch_seconds=0,
    )
    started = time.time()
    dbt.parsed(settings)
    parse_seconds = time.time() - started  # it is parsed once, when its files change
    found = {}

    def timed(what: str, started: float) -> None:
        found[what] = time.perf_counter() - started

    project = open_project(settings, copied_domains(number))
    definitions = build_definitions(project)
    definitions.resolve_all_asset_specs()
    found["load of the definitions"] = time.time() - psutil.Process().create_time() - parse_seconds
    prepare_dagster_home(settings)
    drop_files(settings.inbox_dir, window, number)
    with DagsterInstance.get() as instance:
        started = time.perf_counter()
        settle(definitions, project, instance)
        timed("first settle", started)
        found |= ticks(definitions, instance)
        late = []
        for copy in range(LATE_ROWS):
            add_late_row(settings.inbox_dir, window, copy)
            started = time.perf_counter()
            settle(definitions, project, instance)
            late.append(time.perf_counter() - started)
        found["late row"] = sorted(late)[len(late) // 2]
    return found


def settle(definitions: Definitions, project: Project, instance: DagsterInstance) -> None:
    runner = Runner(definitions, project, instance, announce=lambda _: None)
    names = {key.path[-1] for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    runner.land(names)
    runner.settle(names)
    failures = [failure for failure in runner.outcome.failures if not failure.startswith("check ")]
    assert not failures, failures


def ticks(definitions: Definitions, instance: DagsterInstance) -> dict[str, float]:
    """Median seconds of one evaluation of all conditions, and of one idle tick; there is nothing to do in either."""
    looks, idle, cursor = [], [], None
    for _ in range(TICKS):
        started = time.perf_counter()
        result = evaluate_automation_conditions(definitions, instance, cursor=cursor)
        looks.append(time.perf_counter() - started)
        cursor = result.cursor
        assert result.total_requested == 0
    sensor = definitions.resolve_sensor_def("out_of_date_days")
    assert isinstance(sensor, OutOfDateDaysSensor)
    repository = definitions.get_repository_def()
    for _ in range(TICKS + 1):
        with build_sensor_context(instance=instance, repository_def=repository, sensor_name=sensor.name) as context:
            started = time.perf_counter()
            assert not sensor.evaluate_tick(context).run_requests
            idle.append(time.perf_counter() - started)
    middle = TICKS // 2
    return {"look at all conditions": sorted(looks)[middle], "tick": sorted(idle[1:])[middle]}


def add_late_row(inbox: Path, window: Window, number: int) -> None:
    """Drops a file with one row on a day in the middle, for the first domain."""
    folder = inbox / f"{ORIGINAL.sources[0].name}_0"
    example = next(iter(sorted(folder.glob("*.csv"))))
    header, row, *_ = example.read_text(encoding="utf-8").splitlines()
    at = header.split(",").index(ORIGINAL.sources[0].time or "")
    cells = row.split(",")
    cells[0], cells[at] = f"late-{number}", f"{window.start + timedelta(DAYS // 2)} 12:00:00.000"
    (folder / f"{example.stem}-late-{number}.csv").write_text(f"{header}\n{','.join(cells)}\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.pop("DAGSTER_HOME", None)
    print("MEASURED" + json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))
