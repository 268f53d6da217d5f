"""The files of an app's marketing: spend, users, what they touched and brought, and the rates of currencies."""

import polars as pl

from analytics_assets.spec.source import Source, any_format, at_most

_AMOUNT = pl.Decimal(38, 9)  # amounts with more digits are rounded to these
_MOST = 10**12
_HIGHEST_RATE = 10**7  # a reward times this still fits: 38 digits, 18 of them after the point
_SPENT_ON = ("impressions", "clicks", "installs")


def _amount(column: str) -> dict[str, pl.Expr]:
    """An amount may be negative, as a credit or a refund is, but neither missing nor impossible."""
    return {
        f"{column} must not be empty": pl.col(column).is_not_null(),
        f"{column} is beyond {_MOST:,}, which cannot be": (pl.col(column).abs() <= _MOST).fill_null(True),
    }


MARKETING_SPEND = Source(
    name="marketing_spend",
    description="What each campaign of a channel cost and brought on a day, as the channels bill it.",
    patterns=any_format("marketing_spend"),
    columns={
        "date": pl.Date,
        "channel": pl.String,
        "campaign": pl.String,
        "spend": _AMOUNT,
        "impressions": pl.Int64,
        "clicks": pl.Int64,
        "installs": pl.Int64,
    },
    time="date",
    timezone="UTC",
    primary_key=("channel", "campaign"),
    rules={
        **_amount("spend"),
        **{f"{name} must not be empty or negative": (pl.col(name) >= 0).fill_null(False) for name in _SPENT_ON},
        **{rule: holds for name in _SPENT_ON for rule, holds in at_most(name, _MOST).items()},
    },
)

USERS = Source(
    name="users",
    description="Users of the app, with the channel and campaign that they are credited to.",
    patterns=any_format("users"),
    columns={
        "user_id": pl.String,
        "installed_at": pl.Datetime("us"),
        "created_at": pl.Datetime("us"),
        "updated_at": pl.Datetime("us"),
        "channel": pl.String,
        "campaign": pl.String,
    },
    time="installed_at",
    timezone="UTC",
    primary_key=("user_id",),
    dedup_order=("updated_at desc",),
)

USER_TOUCHPOINTS = Source(
    name="user_touchpoints",
    description="What users saw and clicked, and whether it led to a conversion.",
    patterns=any_format("user_touchpoints"),
    columns={
        "user_id": pl.String,
        "touchpoint_date": pl.Datetime("us"),
        "channel": pl.String,
        "campaign": pl.String,
        "touchpoint_type": pl.String,
        "source": pl.String,
        "medium": pl.String,
        "conversion": pl.Boolean,
    },
    time="touchpoint_date",
    timezone="UTC",
    primary_key=("user_id", "touchpoint_date", "channel", "touchpoint_type", "_repeat"),  # touches have no id
    may_be_empty=frozenset({"channel", "touchpoint_type"}),  # a channel is then derived from source and medium
    dedup_order=("conversion desc",),  # a conversion may be told later than its touch
    version=2,  # touches without a channel or a type were rejected
)

REVENUE_AND_REWARDS = Source(
    name="revenue_and_rewards",
    description="What users brought, less refunds, and the rewards that they were given.",
    patterns=any_format("revenue_and_rewards"),
    columns={
        "user_id": pl.String,
        "date": pl.Datetime("us"),  # a date, or a time within it
        "revenue": _AMOUNT,
        "reward_to_user": _AMOUNT,
    },
    time="date",
    timezone="UTC",
    primary_key=("user_id", "date", "revenue", "reward_to_user", "_repeat"),  # payments have no id
    rules={**_amount("revenue"), **_amount("reward_to_user")},
)

EXCHANGE_RATES = Source(
    name="exchange_rates",
    description="What one unit of a currency is worth on a day, in the currency of the revenue.",
    patterns=any_format("exchange_rates"),
    columns={"date": pl.Date, "currency": pl.String, "rate": _AMOUNT},
    time="date",
    timezone="UTC",
    primary_key=("currency",),
    rules={
        "currency must not be blank": pl.col("currency").str.strip_chars() != "",
        "rate must be above 0": (pl.col("rate") > 0).fill_null(False),
        **at_most("rate", _HIGHEST_RATE),
    },
)
