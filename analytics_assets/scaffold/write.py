"""Writes files of a scaffold: all of them or none, and none over another."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from analytics_assets.foundation.files import replacing


def require_none_of(files: Sequence[str], project_dir: Path) -> None:
    """Checks that nothing would be written over.

    Args:
        files: paths below the project.

    Raises:
        ValueError: one is there already.
    """
    if there := [name for name in files if (project_dir / name).exists()]:
        raise ValueError(f"{', '.join(there)} is there already; nothing was written. Choose another name, or delete it")


def write_all(files: Mapping[str, str], project_dir: Path) -> None:
    """Writes new files; if one cannot be written, those before it are deleted again.

    Args:
        files: the text of each, by its path below the project, as `formatted` gives it.

    Raises:
        ValueError: one is there already.
        OSError: one cannot be written.
    """
    require_none_of(list(files), project_dir)
    written: list[Path] = []
    made: list[Path] = []
    try:
        for name, text in files.items():
            file = project_dir / name
            made += [folder for folder in reversed(file.parents) if not folder.exists()]
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file) as temporary:
                temporary.write_text(text, encoding="utf-8")
            written.append(file)
    except BaseException:
        for file in written:
            file.unlink(missing_ok=True)
        for folder in reversed(made):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def formatted(files: Mapping[str, str], project_dir: Path) -> dict[str, str]:
    """The same files, those of Python as the project's linter wants them, where that is installed."""
    ruff = Path(sys.executable).with_name("ruff")
    config = project_dir / "pyproject.toml"
    # the modules that the new files import are not there yet, and would count as other people's
    options = ["--config", 'lint.isort.known-first-party = ["analytics_assets"]']
    options += ["--config", str(config)] if config.exists() else []
    found = dict(files)
    for name, text in files.items():
        if name.endswith(".py") and ruff.exists():
            for command in (["check", "--select", "I", "--fix"], ["format"]):
                place = ["--stdin-filename", str(project_dir / name)]
                done = subprocess.run(
                    [ruff, *command, "--quiet", "--no-cache", *options, *place, "-"],
                    input=text.encode(),
                    check=True,
                    capture_output=True,
                )
                text = done.stdout.decode()
            found[name] = text
    return found


def require_places(files: Sequence[Path], folder: Path, names: Sequence[str]) -> None:
    """Checks that files can be dropped without replacing another.

    Args:
        names: what each is called there.

    Raises:
        ValueError: a file of that name, with another content, is there.
    """
    for file, name in zip(files, names, strict=True):
        there = folder / name
        if there.exists() and there.read_bytes() != file.read_bytes():
            raise ValueError(f"{there} is there already, with another content: give --no-drop, or another name")


def drop(files: Sequence[Path], folder: Path, names: Sequence[str]) -> None:
    """Copies files into a folder of the inbox, under names that `require_places` has looked at."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, name in zip(files, names, strict=True):
        with replacing(folder / name) as temporary:
            shutil.copyfile(file, temporary)
