"""Consent analytics: who was asked for consent, who gave it, and how many events that stands for."""

from analytics_assets.consent.reports import CONSENT_REPORT
from analytics_assets.consent.simulator import simulate
from analytics_assets.consent.sources import COMPANIES, CONSENT_EVENTS
from analytics_assets.domain import Domain

CONSENT = Domain(
    name="consent",
    owner="team:analytics",
    sources=(CONSENT_EVENTS, COMPANIES),
    reports=(CONSENT_REPORT,),
    simulate=simulate,
)
