"""The pull of campaigns from the advertising API."""

from analytics_assets.defs.campaigns.sources import CAMPAIGNS
from analytics_assets.spec.extract import Endpoint, Extract, RateLimit
from analytics_assets.spec.pagination import Cursor

CAMPAIGNS_EXTRACT = Extract(
    source=CAMPAIGNS,
    endpoint=Endpoint(
        "campaigns",
        Cursor(),
        parameters={"page_size": "100"},
        rate_limit=RateLimit(errors={"error": ("ratelimited", "too many requests")}),
    ),
    since="last_updated_at",
    changed="last_updated_at",
)
