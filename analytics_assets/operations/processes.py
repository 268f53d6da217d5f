"""The processes that work in this project now; `make clean` checks for them before it deletes anything.

    python -m analytics_assets.operations.processes FOLDER

Reads no settings, since people also try `make clean` when their settings are wrong.
"""

import sys
from collections.abc import Sequence
from pathlib import Path, PurePath

import psutil

_PROGRAMS = ("dagster", "analytics-assets", "analytics_assets.")


def working_in(folder: Path) -> dict[int, str]:
    """The programs of this project and of Dagster that work in a folder, by process id.

    Programs that another one of them started are left out: they end with it.
    """
    own = {process.pid for process in (psutil.Process(), *psutil.Process().parents())}
    found, parents = {}, {}
    for process in psutil.process_iter(["pid", "ppid", "cmdline", "environ", "cwd"]):
        told = process.info
        program, *arguments = _program(told["cmdline"] or [""])
        environ = told["environ"] or {}  # None for another user's process
        places = [*(told["cmdline"] or ())[:2], told["cwd"], environ.get("DAGSTER_HOME"), environ.get("VIRTUAL_ENV")]
        is_here = any(PurePath(place).is_relative_to(folder) for place in places if place)
        if is_here and program.startswith(_PROGRAMS) and process.pid not in own:
            found[process.pid] = " ".join([program, *(one for one in arguments[:1] if not one.startswith("-"))])
            parents[process.pid] = told["ppid"]
    return {pid: name for pid, name in found.items() if parents[pid] not in found}


def _program(command: Sequence[str]) -> list[str]:
    """What a process runs, with its arguments: the module of `python -m`, or a file name without its folder."""
    if PurePath(command[0]).name.startswith("python"):
        command = command[2:] if command[1:2] == ["-m"] else command[1:]
    return [PurePath(command[0]).name, *command[1:]] if command else [""]


if __name__ == "__main__":
    processes = working_in(Path(sys.argv[1]).resolve())
    for pid, name in processes.items():
        sys.stderr.write(
            f"error: `{name}` works in this folder: end it first, with Ctrl-C where it runs or with `kill {pid}`\n"
        )
    sys.exit(1 if processes else 0)
