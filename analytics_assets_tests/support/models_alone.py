"""dbt without the tests of its models, for tests of what the project keeps and asks for; they take half of a run."""

from typing import Any

import pytest

from analytics_assets.dbt import step
from analytics_assets.dbt.invocation import DbtRun
from analytics_assets.dbt.runner import run_dbt


def run_models_alone(arguments: list[str], *rest: Any, **named: Any) -> DbtRun:
    """`dbt run` where the step asks for `dbt build`: the same models, and no check says anything of them."""
    if arguments[0] == "build":
        end = arguments.index("--indirect-selection")
        arguments = ["run", *arguments[1:end]]
    return run_dbt(arguments, *rest, **named)


def make_models_alone(patched: pytest.MonkeyPatch) -> None:
    """For as long as the patch holds."""
    patched.setattr(step, "run_dbt", run_models_alone)
