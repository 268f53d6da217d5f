"""Unit tests start no process, run no dbt and build no graph: what they need is at hand at once."""

import subprocess
from collections.abc import Iterator
from typing import NoReturn

import pytest

from analytics_assets.dbt import invocation, project


@pytest.fixture(autouse=True)
def _nothing_but_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test that belongs into another folder."""

    def refused(what: str) -> object:
        def refuse(*_: object, **__: object) -> NoReturn:
            pytest.fail(f"a unit test {what}; integration/ and system/ are for tests that do")

        return refuse

    monkeypatch.setattr(subprocess.Popen, "__init__", refused("starts a process"))
    monkeypatch.setattr(invocation, "dbt_invoke", refused("runs dbt"))
    monkeypatch.setattr(project, "parsed", refused("parses the dbt project"))
    yield
