"""A small domain whose facts need a row of another day: payments of users who may have come at any time."""

from collections.abc import Mapping
from datetime import date

import polars as pl

from analytics_assets.spec.domain import Domain
from analytics_assets.spec.source import Source

USERS = Source(
    name="users",
    description="Users of an app, by the day on which they came.",
    patterns=("users-*.csv",),
    columns={"user_id": pl.String, "came_at": pl.Datetime("us"), "channel": pl.String, "note": pl.String},
    time="came_at",
    primary_key=("user_id",),
)

PAYMENTS = Source(
    name="payments",
    description="Payments of the users.",
    patterns=("payments-*.csv",),
    columns={"payment_id": pl.String, "paid_at": pl.Datetime("us"), "user_id": pl.String, "amount": pl.Int64},
    time="paid_at",
    primary_key=("payment_id",),
)

APP = Domain(name="app", owner="team:app", sources=(USERS, PAYMENTS))

USERS_HEADER = "user_id,came_at,channel,note\n"

PAYMENTS_HEADER = "payment_id,paid_at,user_id,amount\n"


def user(name: str, at: date, channel: str, note: str = "") -> str:
    """A line of users."""
    return f"{name},{at} 08:00:00,{channel},{note}\n"


def payment(number: int, at: date, name: str) -> str:
    """A line of payments; the amount is the number."""
    return f"{number},{at} 12:00:00,{name},{number}\n"


_STAGED = """
select {1}, the_date from {{{{ ref('src_{0}') }}}}
where {{{{ in_window('the_date') }}}} and duplicate_rank = 1
"""

_SRC = """{{{{ config(materialized='view') }}}}
select {1}, _day as the_date, {{{{ duplicate_rank('{0}') }}}} as duplicate_rank from {{{{ raw('{0}') }}}}
"""

_BY_USER = """
select
    payments.payment_id, payments.amount, payments.the_date,
    max(users.channel) as channel, count(users.channel) as rows_of_user
from {{{{ ref('stg_payments') }}}} as payments
left join {{{{ by_key('stg_users') }}}} as users
    on payments.the_date = users._for_day and payments.user_id = users.user_id
where {{{{ in_window('payments.the_date') }}}}
group by payments.payment_id, payments.amount, payments.the_date
"""

_BEFORE = """
select payments.payment_id, payments.the_date, sum(earlier.amount) as paid_so_far
from {{ ref('stg_payments') }} as payments
left join {{ by_key('stg_payments') }} as earlier
    on payments.the_date = earlier._for_day and payments.user_id = earlier.user_id
where {{ in_window('payments.the_date') }}
group by payments.payment_id, payments.the_date
"""

_DAILY = """
select the_date, channel, sum(amount) as amount from {{ ref('int_payments') }}
where {{ in_window('the_date') }} group by the_date, channel
"""

_SEEN_BEFORE = """
with recent as (
    select bound.the_day, payments.user_id
    from {{ ref('stg_payments') }} as payments
    inner join {{ days_of_window() }} as bound
        on payments.the_date >= {{ minus_days('bound.the_day', 1) }} and payments.the_date <= bound.the_day
    where {{ in_window('payments.the_date', of='stg_payments') }}
)

select recent.the_day as the_date, recent.user_id, max(sums.paid_so_far) as most
from recent
left join {{ by_key('int_paid_by_user') }} as sums
    on recent.the_day = sums._for_day and recent.user_id = sums.user_id
group by recent.the_day, recent.user_id
"""

_PAID_BY_USER = """
select payments.user_id, payments.the_date, max(before.paid_so_far) as paid_so_far
from {{ ref('stg_payments') }} as payments
inner join {{ ref('int_paid_before') }} as before
    on payments.payment_id = before.payment_id and payments.the_date = before.the_date
where {{ in_window('payments.the_date') }} and {{ in_window('before.the_date') }}
group by payments.user_id, payments.the_date
"""

MODELS: Mapping[str, str] = {
    **{
        f"models/staging/app/{layer}_{source}.sql": text.format(source, columns)
        for source, columns in {
            "users": "user_id, channel, note",
            "payments": "payment_id, user_id, amount",
        }.items()
        for layer, text in {"src": _SRC, "stg": _STAGED}.items()
    },
    "models/intermediate/app/int_payments.sql": _BY_USER.format(),
    "models/intermediate/app/int_recent_users.sql": _BY_USER.format(),
    "models/intermediate/app/int_paid_before.sql": _BEFORE,
    "models/intermediate/app/int_paid_by_user.sql": _PAID_BY_USER,
    "models/intermediate/app/int_seen_before.sql": _SEEN_BEFORE,
    "models/marts/app/mart_payments_daily.sql": _DAILY,
    "models/staging/app/_app.yml": """version: 2
sources: [{name: raw, tables: [{name: users}, {name: payments}]}]
models:
  - {name: src_users, config: {meta: {day: the_date}}}
  - {name: src_payments, config: {meta: {day: the_date}}}
  - {name: stg_users, config: {meta: {day: the_date}}}
  - {name: stg_payments, config: {meta: {day: the_date}}}
  - name: int_payments
    config:
      meta:
        day: the_date
        reads: [{model: stg_users, days: [~, ~], key: user_id, of: stg_payments, columns: [channel]}]
  - name: int_recent_users
    config:
      meta:
        day: the_date
        reads: [{model: stg_users, days: [-2, 1], key: user_id, of: stg_payments, columns: [channel]}]
  - name: int_paid_before
    config:
      meta:
        day: the_date
        reads: [{model: stg_payments, days: [~, 0], key: user_id, of: stg_payments, columns: [amount]}]
  - {name: int_paid_by_user, config: {meta: {day: the_date}}}
  - name: int_seen_before
    config:
      meta:
        day: the_date
        reads:
          - {model: stg_payments, days: [-1, 0]}
          - {model: int_paid_by_user, days: [~, -1], key: user_id, of: stg_payments, columns: [paid_so_far]}
  - {name: mart_payments_daily, config: {meta: {day: the_date}}}
""",
}
