"""The files of consent analytics. docs/data-quality.md describes their defects."""

import polars as pl

from analytics_assets.spec.source import Kind, Source, any_format, at_most

CONSENT_EVENTS = Source(
    name="consent_events",
    description="Consent events of all companies; non-critical ones are sampled, and RATE says how much.",
    patterns=any_format("events-"),
    columns={
        "EVENT_ID": pl.String,
        "TYPE": pl.String,
        "RATE": pl.Float64,
        "PARAMETERS": pl.String,
        "EVENT_TIME": pl.Datetime("us"),
        "WINDOW_START": pl.Datetime("us"),
        "APIKEY": pl.String,
        "CONSENT": pl.String,
        "COUNT": pl.Int64,
        "EXPERIMENT": pl.String,
        "SDK_TYPE": pl.String,
        "DOMAIN": pl.String,
        "DEPLOYMENT_ID": pl.String,
        "COUNTRY": pl.String,
        "REGION": pl.String,
        "BROWSER_FAMILY": pl.String,
        "DEVICE_TYPE": pl.String,
        "USER_ID": pl.String,  # set if the tracker knows the person
    },
    optional=frozenset({"USER_ID"}),
    time="EVENT_TIME",
    timezone="UTC",
    primary_key=("EVENT_ID",),
    dedup_order=("WINDOW_START desc",),
    rules={
        "COUNT is empty or negative": pl.col("COUNT").is_not_null() & (pl.col("COUNT") >= 0),
        **at_most("COUNT", 10**9),  # per hour; times 1e12 for the smallest RATE, a variance still fits its type
    },
)

COMPANIES = Source(
    name="companies",
    description="Companies with their industries and headquarters; a file is the whole list from its day on.",
    kind=Kind.SNAPSHOT,
    patterns=("*.csv", "*.csv.gz", "*.parquet"),
    columns={
        "PUBLIC_API_KEY": pl.String,
        "INDUSTRY_BACK": pl.String,
        "INDUSTRY_FRONT": pl.String,
        "HQ_COUNTRY": pl.String,
    },
    primary_key=("PUBLIC_API_KEY",),
)
