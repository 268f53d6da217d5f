"""Consent analytics: who was asked for consent, who gave it, and how many events they represent."""

from analytics_assets.defs.consent.reports import CONSENT_REPORT
from analytics_assets.defs.consent.simulator import simulate
from analytics_assets.defs.consent.sources import COMPANIES, CONSENT_EVENTS
from analytics_assets.spec.domain import Domain

DOMAIN = Domain(
    name="consent",
    owner="team:analytics",
    sources=(CONSENT_EVENTS, COMPANIES),
    reports=(CONSENT_REPORT,),
    simulate=simulate,
    is_demo=True,
)
