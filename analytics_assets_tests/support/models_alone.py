"""dbt without the tests of its models, for tests of what the project keeps and asks for; they take half of a run."""

from typing import Any

import pytest

from analytics_assets.dbt import step
from analytics_assets.dbt.invocation import DbtRun
from analytics_assets.dbt.runner import run_dbt


def run_models_alone(arguments: list[str], *rest: Any, **named: Any) -> DbtRun:
    """`dbt build` without tests: the same models and seeds, and no check says anything of them."""
    if arguments[0] == "build":
        assert arguments[-2:] == ["--exclude-resource-type", "unit_test"]
        arguments = [*arguments, "test"]
    return run_dbt(arguments, *rest, **named)


def make_models_with_checks(patched: pytest.MonkeyPatch) -> None:
    """As it is without any patch, for as long as this one holds."""
    patched.setattr(step, "run_dbt", run_dbt)


def make_models_alone(patched: pytest.MonkeyPatch) -> None:
    """For as long as the patch holds."""
    patched.setattr(step, "run_dbt", run_models_alone)
