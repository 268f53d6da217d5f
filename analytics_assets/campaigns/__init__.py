"""Campaigns: what advertising costs and brings, by day, country and platform."""

from analytics_assets.campaigns import sources
from analytics_assets.campaigns.extracts import CAMPAIGNS_EXTRACT
from analytics_assets.campaigns.reports import CAMPAIGNS_REPORT
from analytics_assets.campaigns.simulator import simulate
from analytics_assets.domain import Domain

CAMPAIGNS = Domain(
    name="campaigns",
    owner="team:analytics",
    sources=(sources.CAMPAIGNS,),
    extracts=(CAMPAIGNS_EXTRACT,),
    reports=(CAMPAIGNS_REPORT,),
    simulate=simulate,
)
