"""Campaigns: the cost and revenue of advertising, by day, country and platform."""

from analytics_assets.defs.campaigns.demo import serve_demo
from analytics_assets.defs.campaigns.extracts import CAMPAIGNS_EXTRACT
from analytics_assets.defs.campaigns.reports import CAMPAIGNS_REPORT
from analytics_assets.defs.campaigns.simulator import simulate
from analytics_assets.defs.campaigns.sources import CAMPAIGNS
from analytics_assets.spec.domain import Domain

DOMAIN = Domain(
    name="campaigns",
    owner="team:analytics",
    sources=(CAMPAIGNS,),
    extracts=(CAMPAIGNS_EXTRACT,),
    reports=(CAMPAIGNS_REPORT,),
    simulate=simulate,
    demo=serve_demo,
    is_demo=True,
)
