"""The files of sessions: events on the site and in the apps."""

import polars as pl

from analytics_assets.spec.source import Source, any_format

CLICKSTREAM = Source(
    name="clickstream",
    description="Events of customers on the site and in the apps, as the clients send them.",
    patterns=any_format("clickstream-"),
    columns={
        "event_id": pl.String,
        "customer_id": pl.String,  # empty if the client knows no customer
        "event_timestamp": pl.Datetime("us"),
        "event_type": pl.String,
        "page_type": pl.String,
        "device": pl.String,
        "browser": pl.String,
        "operating_system": pl.String,
        "app_version": pl.String,
        "session_id": pl.String,  # the client's own, which is not trusted
        "event_details": pl.String,
    },
    optional=frozenset({"customer_id", "session_id", "app_version"}),
    time="event_timestamp",
    timezone="UTC",
    primary_key=("event_id",),
    dedup_order=("event_timestamp asc",),  # a client that resends an event may give it a new time
)
