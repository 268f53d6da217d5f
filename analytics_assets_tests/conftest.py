"""What the tests share: a project of its own in a temporary folder, on real files and a real warehouse."""

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from dbt_common.behavior_flags import BehaviorFlagRendered
from dbt_common.tests import enable_test_caching
from hypothesis import HealthCheck, Phase, settings

from analytics_assets.defs.consent.sources import CONSENT_EVENTS
from analytics_assets.simulation.files import write_rows
from analytics_assets.spec.source import Source
from analytics_assets_tests.support.consent_events import FORMULA, HOSTILE
from analytics_assets_tests.support.inbox import Inbox
from analytics_assets_tests.support.models_alone import make_models_alone, make_models_with_checks
from analytics_assets_tests.support.project import (
    DOMAINS,
    ONE_DOMAIN,
    YESTERDAY,
    Project,
    test_settings,
)

settings.register_profile(
    "suite",
    max_examples=4,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink an example takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile(
    "full", settings.get_profile("suite"), max_examples=200, derandomize=False, phases=list(Phase)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

# The objects of dbt and Dagster are many and stay: to look through them for garbage takes a tenth of the suite.
gc.set_threshold(200_000, 50, 100)

# When it begins, dbt looks through the source of each function on the stack for who asked. Below pytest that took more
# than the rest of a run, and more with every module that had been imported.
BehaviorFlagRendered._default_source = staticmethod(lambda: "tests")  # type: ignore[method-assign]

# dbt parses the same macros in each project of a test; this is its own switch for tests.
enable_test_caching()

IN_MEMORY = Path("/dev/shm")
if os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > 6 * 2**30:
    # What a project writes is waited for until it is on the disk, many times a run; here nobody needs it tomorrow.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks each test by its folder."""
    for item in items:
        item.add_marker(item.path.relative_to(Path(__file__).parent).parts[0])


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names a test by its argument where that is bytes: those may differ by worker, as a gzip's time does."""
    return argname if isinstance(val, bytes) else None


test_settings.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _environment_of_no_shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("ANALYTICS_")]:
        monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):  # loopback is never behind one
        monkeypatch.delenv(name, raising=False)
    yield


@pytest.fixture(autouse=True, scope="module")
def _models_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where a module is marked `models_alone`, dbt makes models and tests none, in its fixtures either."""
    with pytest.MonkeyPatch.context() as patched:
        if request.node.get_closest_marker("models_alone"):
            make_models_alone(patched)
        yield


@pytest.fixture(autouse=True)
def _with_checks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _models_alone: None) -> None:
    """Of such a module, dbt tests the models all the same for a test that is marked `with_checks`."""
    if request.node.get_closest_marker("with_checks"):
        make_models_with_checks(monkeypatch)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of one domain."""
    return Project(tmp_path / "data", ONE_DOMAIN)


@pytest.fixture
def everything(tmp_path: Path) -> Project:
    """A project of all domains."""
    return Project(tmp_path / "data")


@pytest.fixture
def inbox(tmp_path: Path) -> Callable[..., Inbox]:
    def make(source: Source, **changes: object) -> Inbox:
        return Inbox(test_settings(tmp_path / "data", **({"start_date": date(2025, 1, 1)} | changes)), source)

    return make


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Fourteen days of everything, with reports; no test changes them. The newest day knows two hostile companies."""
    first = YESTERDAY - timedelta(days=13)
    project = Project(tmp_path_factory.mktemp("reported") / "data", DOMAINS, {"start_date": first})
    project.simulate(scale=1.5)
    rows = [dict.fromkeys(CONSENT_EVENTS.columns, "") for _ in (HOSTILE, FORMULA)]
    for row, company in zip(rows, (HOSTILE, FORMULA), strict=True):
        row |= {"EVENT_ID": company, "TYPE": "pageview", "RATE": "0.5", "COUNT": "1", "APIKEY": company}
        row |= {"EVENT_TIME": f"{YESTERDAY} 12:00:00"}
    write_rows(project.settings.inbox_dir / "consent_events" / "events-hostile.csv", rows, CONSENT_EVENTS.columns)
    with pytest.MonkeyPatch.context() as patched:
        make_models_with_checks(patched)
        project.settled()
    return project
