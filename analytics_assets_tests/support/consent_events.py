"""Rows of files of consent events."""

from datetime import date

from analytics_assets.defs.consent.sources import CONSENT_EVENTS

HOSTILE, FORMULA = "<script>alert(1)</script>", "=1+1"
"""Names of companies that would be code if a report let them."""


HEADER = ",".join(CONSENT_EVENTS.columns) + "\n"


def event(identity: str, at: date, count: int = 1) -> str:
    values = {
        "EVENT_ID": identity,
        "TYPE": "pageview",
        "RATE": "0.5",
        "EVENT_TIME": f"{at} 12:00:00",
        "COUNT": str(count),
    }
    return ",".join(values.get(column, "") for column in CONSENT_EVENTS.columns) + "\n"
