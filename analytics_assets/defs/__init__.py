"""The domains: one folder for each family of work, found by being there. A domain imports only the shared rooms."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from analytics_assets.spec.domain import Domain


@cache
def find_domains() -> tuple[Domain, ...]:
    """The `DOMAIN` of each folder here, in the order of their names.

    Raises:
        AttributeError: a folder names none.
    """
    folders = sorted(module.name for module in iter_modules(__path__) if module.ispkg)
    return tuple(import_module(f"{__name__}.{folder}").DOMAIN for folder in folders)
