"""The pull of campaigns: what is asked of the advertising API."""

from analytics_assets.campaigns.sources import CAMPAIGNS
from analytics_assets.ingest.extract import Extract
from analytics_assets.ingest.pagination import Cursor
from analytics_assets.ingest.rest import Endpoint, RateLimit

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
