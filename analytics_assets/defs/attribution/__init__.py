"""Attribution: what an app's marketing costs, whom it brings, and what they bring."""

from analytics_assets.defs.attribution.advice import STRATEGIC_RECOMMENDATIONS
from analytics_assets.defs.attribution.attribution_report import ATTRIBUTION_REPORT
from analytics_assets.defs.attribution.models_report import MODELS_REPORT
from analytics_assets.defs.attribution.reports import MARKETING_REPORT
from analytics_assets.defs.attribution.simulator import simulate
from analytics_assets.defs.attribution.sources import (
    EXCHANGE_RATES,
    MARKETING_SPEND,
    REVENUE_AND_REWARDS,
    USER_TOUCHPOINTS,
    USERS,
)
from analytics_assets.defs.attribution.workflow import workflow
from analytics_assets.spec.domain import Domain

DOMAIN: Domain = Domain(
    name="attribution",
    owner="team:analytics",
    sources=(MARKETING_SPEND, USERS, USER_TOUCHPOINTS, REVENUE_AND_REWARDS, EXCHANGE_RATES),
    analyses=(MODELS_REPORT, STRATEGIC_RECOMMENDATIONS),
    reports=(MARKETING_REPORT, ATTRIBUTION_REPORT),
    simulate=simulate,
    definitions=lambda project: workflow(project, DOMAIN),
    is_demo=True,
)
