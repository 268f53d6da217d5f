"""The domains: one folder per business domain, discovered automatically. A domain imports only the shared packages."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from analytics_assets.settings import Settings
from analytics_assets.spec.domain import Domain


def domains_in_use(settings: Settings) -> tuple[Domain, ...]:
    """The domains that are not switched off."""
    return tuple(domain for domain in find_domains() if domain.name not in settings.switched_off)


@cache
def find_domains() -> tuple[Domain, ...]:
    """The `DOMAIN` of each folder here, sorted by name.

    Raises:
        AttributeError: a folder defines no `DOMAIN`.
    """
    folders = sorted(module.name for module in iter_modules(__path__) if module.ispkg)
    return tuple(import_module(f"{__name__}.{folder}").DOMAIN for folder in folders)
