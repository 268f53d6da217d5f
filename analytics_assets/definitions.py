"""The Dagster code location: all domains, gathered. What they are made of is in `domain.py`."""

from dagster import Definitions

from analytics_assets.campaigns import CAMPAIGNS
from analytics_assets.consent import CONSENT
from analytics_assets.domain import Domain, build_definitions, faults_of
from analytics_assets.sessions import SESSIONS
from analytics_assets.settings import get_settings

DOMAINS: tuple[Domain, ...] = (CONSENT, SESSIONS, CAMPAIGNS)
SOURCES = [source for domain in DOMAINS for source in domain.sources]

FAULTS = faults_of(get_settings(), DOMAINS)

defs: Definitions = build_definitions(get_settings(), DOMAINS, FAULTS)
