"""What is said at the prompt of damaged state: one sentence that names the file, with exit code 1."""

from collections.abc import Callable
from pathlib import Path

import pytest

from analytics_assets.settings import get_settings
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.project import ALL_OF_ONE, Project, day
from analytics_assets_tests.support.prompt import Prompt

GARBAGE = b"\0\1garbage" * 900
DAGSTERS = "then begins a new history"
SAID = {
    "data/lake/ledger.sqlite": "run `analytics-assets repair`",
    "data/lake/attempts.sqlite": "delete it",
    "data/lake/raw/builds.sqlite": "delete it",
    "data/warehouse/builds.sqlite": "delete it",
    "home/history/runs.db": DAGSTERS,
    "home/history/runs/index.db": DAGSTERS,
}
"""Files of state that `status` reads, and what is said of one that is damaged."""


@pytest.fixture
def prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prompt:
    """A prompt on a settled project of one domain."""
    project = Project(tmp_path / "data", ALL_OF_ONE)
    for number in range(5):
        project.drop("consent_events", f"events-{number}.csv", HEADER + event(f"e{number}", day(number)))
    project.settled()
    prompt = Prompt(tmp_path, monkeypatch)
    assert prompt("status").exit_code == 0
    yield prompt
    get_settings.cache_clear()


def test_each_file_is_named_with_what_to_do(prompt: Prompt, tmp_path: Path) -> None:
    for name, what_to_do in SAID.items():
        file = tmp_path / name
        whole = file.read_bytes()
        logs = [file.with_name(file.name + ending) for ending in ("-wal", "-shm")]
        for log in logs:
            log.unlink(missing_ok=True)
        file.write_bytes(GARBAGE)
        said = prompt("status")
        text = " ".join(said.output.split())
        assert said.exit_code == 1, name
        assert file.name in text.replace(" ", "") and what_to_do in text, f"{name}: {text}"
        assert text.count("error:") == 1 and "Traceback" not in text, f"{name}: {text}"
        file.write_bytes(whole)
    assert prompt("status").exit_code == 0


LOSSES: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "emptied": lambda file: file.write_bytes(b""),
    "garbage": lambda file: file.write_bytes(GARBAGE),
}


def test_nothing_is_made_of_a_lost_ledger_until_repair_has_made_it_again(prompt: Prompt, tmp_path: Path) -> None:
    prompt("materialize", "--new")  # of which this Dagster knows nothing yet
    assert "nothing was repaired" in prompt("repair").output
    before = prompt("reconcile")
    assert before.exit_code == 0
    ledger = tmp_path / "data" / "lake" / "ledger.sqlite"
    for how, lose in LOSSES.items():
        for ending in ("-wal", "-shm"):
            ledger.with_name(ledger.name + ending).unlink(missing_ok=True)
        lose(ledger)
        for command in (["status"], ["reconcile"], ["materialize", "--new"]):
            said = prompt(*command)
            assert said.exit_code == 1, how
            assert "run `analytics-assets repair`" in " ".join(said.output.split()), how
        repaired = prompt("repair")
        assert repaired.exit_code == 0, repaired.output
        assert "The ledger is there again: 7 contents of files, 5 rows." in " ".join(repaired.output.split())
        assert prompt("reconcile").output == before.output
    assert "Nothing was out of date" in prompt("materialize", "--new").output


def test_repair_names_the_pieces_that_are_gone(prompt: Prompt, tmp_path: Path) -> None:
    lake = tmp_path / "data" / "lake"
    lost, *_ = sorted((lake / "landed" / "consent_events").glob("*/*.parquet"))
    lost.unlink()
    (lake / "ledger.sqlite").unlink()
    said = prompt("repair")
    assert said.exit_code == 1
    assert f"gone: {lost}; restore it from a backup" in " ".join(said.output.split()).replace("\n", "")
