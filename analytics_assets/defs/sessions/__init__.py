"""Sessions: which events of a customer belong to one visit, however late they arrive."""

from analytics_assets.defs.sessions.reports import SESSIONS_REPORT
from analytics_assets.defs.sessions.simulator import simulate
from analytics_assets.defs.sessions.sources import CLICKSTREAM
from analytics_assets.spec.domain import Domain

DOMAIN = Domain(
    name="sessions",
    owner="team:analytics",
    sources=(CLICKSTREAM,),
    reports=(SESSIONS_REPORT,),
    simulate=simulate,
    is_demo=True,
)
