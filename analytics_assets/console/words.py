"""The wording that all commands share: errors, days, paths and sizes."""

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from analytics_assets.console.terminal import console, line
from analytics_assets.settings import PROJECT_DIR, Settings, get_settings, is_secret

if TYPE_CHECKING:
    from analytics_assets.partitions import Calendar, Window

INTERRUPTED_CODE = 130  # as in shells: 128 plus the number of SIGINT


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turns errors that a user can fix into one sentence and exit code 1."""
    from analytics_assets.dbt.invocation import DbtError
    from analytics_assets.foundation.failures import INTERRUPTS, damage_in, in_brief, sentence, transient_cause
    from analytics_assets.foundation.files import Damaged
    from analytics_assets.warehouse.interface import CannotRead

    try:
        yield
    except INTERRUPTS as interrupt:
        if isinstance(interrupt, SystemExit):
            raise
        console.print(line(("interrupted:", "yellow"), " what was begun is made again by the next run"))
        raise typer.Exit(INTERRUPTED_CODE) from None
    except ValidationError as error:
        _explain(error)
        raise typer.Exit(1) from error
    except SettingsError as error:
        say_error(f"{sentence(error)}; see analytics_assets/settings.py")
        raise typer.Exit(1) from error
    except (ValueError, Damaged, DbtError, CannotRead, OSError) as error:
        say_error(in_brief(sentence(error)))
        raise typer.Exit(1) from error
    except Exception as error:
        cause = transient_cause(error) or damage_in(error)  # for example a full disk under Dagster's own files
        if cause is None and (cause := _damage_to_home()) is None:
            raise
        say_error(in_brief(sentence(cause)))
        raise typer.Exit(1) from error


def _damage_to_home() -> Exception | None:
    from analytics_assets.operations.home import damage_to_home

    with suppress(ValidationError, OSError):
        return damage_to_home(get_settings())
    return None


def say_error(what: str) -> None:
    """Prints an error."""
    console.print(line(("error:", "red"), f" {what}"))


def _explain(error: ValidationError) -> None:
    for fault in error.errors():
        name = "__".join(str(part) for part in fault["loc"]).upper()
        name = name if name == "DAGSTER_HOME" else f"ANALYTICS_{name}"
        shown = name if is_secret(name) or fault["type"] == "missing" else f"{name}={str(fault['input'])!r}"
        said = fault["msg"].removeprefix("Value error, ")
        if fault["loc"]:  # else the error is about all settings, including secrets
            said = f"{shown}: {said}"
        say_error(f"{said}; see analytics_assets/settings.py")


def window_of(settings: Settings, first: date, last: date, calendars: Iterable["Calendar"] = ()) -> "Window":
    """The window from a first to a last day, both included.

    Args:
        calendars: the days of the domains; without any, those of the settings.

    Raises:
        ValueError: some day has no partition.
    """
    from analytics_assets.partitions import UTC_DAYS, Window, partitioned_days

    chosen = {*calendars} or {UTC_DAYS}
    elapsed = [partitioned_days(settings, datetime.now(UTC), calendar) for calendar in chosen]
    partitions = Window(min(one.start for one in elapsed), max(one.end for one in elapsed))
    last_days = [calendar.last_day(settings) for calendar in chosen]
    end = None if None in last_days else max(day for day in last_days if day)
    if first > last:
        raise ValueError(f"--from {first} is after --to {last}")
    if first < partitions.start:
        raise ValueError(
            f"{first} is before the first day that has a partition, {partitions.start}; "
            "set ANALYTICS_START_DATE to an earlier day to have it"
        )
    if end and last > end:
        raise ValueError(
            f"{last} is after the last day that has a partition, {end}; "
            "set ANALYTICS_END_DATE to a later day, or to none, to have it"
        )
    if last >= partitions.end:
        raise ValueError(
            f"{last} is not over yet; the last day that has a partition is {partitions.end - timedelta(1)}"
        )
    return Window.of_days(first, last)


def yesterday() -> date:
    """The newest day that is over, in UTC."""
    return datetime.now(UTC).date() - timedelta(days=1)


def shown(path: object) -> str:
    """A path, relative to the current folder if it is in the project."""
    text = str(path)
    return os.path.relpath(text) if text.startswith(str(PROJECT_DIR)) else text


def as_bytes(size: float) -> str:
    """A number of bytes as people read it, in the units that are billed."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    power = min(int(math.log(size, 1024)), len(units) - 1) if size >= 1 else 0
    return f"{size / 1024**power:,.{0 if power == 0 else 1}f} {units[power]}"
