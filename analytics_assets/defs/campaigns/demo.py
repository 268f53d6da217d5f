"""The API from which the demo pulls campaigns."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from analytics_assets.partitions import Window


@contextmanager
def serve_demo(days: Window) -> Iterator[Mapping[str, str]]:
    """Serves simulated campaigns of some days; yields the environment variables for the pulls."""
    from analytics_assets.defs.campaigns.api import CampaignsApi, served, simulated  # a web server only the demo needs

    api = CampaignsApi(simulated(days, 1.0, 1), clock=lambda: datetime.now(UTC))
    with served(api) as url:
        yield {"ANALYTICS_API__CAMPAIGNS__URL": url, "ANALYTICS_API__CAMPAIGNS__KEY": api.key}
