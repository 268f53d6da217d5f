"""Sessions: which events of a customer belong to one visit, however late they come."""

from analytics_assets.domain import Domain
from analytics_assets.sessions.reports import SESSIONS_REPORT
from analytics_assets.sessions.simulator import simulate
from analytics_assets.sessions.sources import CLICKSTREAM

SESSIONS = Domain(
    name="sessions",
    owner="team:analytics",
    sources=(CLICKSTREAM,),
    reports=(SESSIONS_REPORT,),
    simulate=simulate,
)
