-- Each source is summed by itself and at its own grain, then all are joined in full, so that neither counts the other's
-- rows twice, and a channel that is in one of them alone stays.
with spend as (
    select
        channel,
        campaign,
        spend_date as event_date,
        sum(spend) as spend,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(installs) as installs
    from {{ ref('stg_marketing_spend') }}
    where {{ in_window('spend_date') }}
    group by channel, campaign, spend_date
),

users as (
    select
        channel,
        campaign,
        install_date as event_date,
        count(*) as users
    from {{ ref('int_users') }}
    where {{ in_window('install_date') }} and is_current
    group by channel, campaign, install_date
),

touchpoints as (
    select
        channel,
        campaign,
        touch_date as event_date,
        count(*) as touchpoints,
        sum(case when is_known_user then 0 else 1 end) as orphan_touchpoints,
        sum(case when is_conversion then 1 else 0 end) as conversions
    from {{ ref('int_touchpoints') }}
    where {{ in_window('touch_date') }}
    group by channel, campaign, touch_date
),

revenue as (
    select
        channel,
        campaign,
        revenue_date as event_date,
        sum(revenue) as revenue,
        sum(reward) as rewards
    from {{ ref('int_revenue') }}
    where {{ in_window('revenue_date') }}
    group by channel, campaign, revenue_date
),

cells as (
    select
        channel,
        campaign,
        event_date
    from spend
    union distinct
    select
        channel,
        campaign,
        event_date
    from users
    union distinct
    select
        channel,
        campaign,
        event_date
    from touchpoints
    union distinct
    select
        channel,
        campaign,
        event_date
    from revenue
),

joined as (
    select
        cells.channel,
        cells.campaign,
        cells.event_date,
        coalesce(spend.spend, 0) as spend,
        coalesce(spend.impressions, 0) as impressions,
        coalesce(spend.clicks, 0) as clicks,
        coalesce(spend.installs, 0) as installs,
        coalesce(users.users, 0) as users,
        coalesce(touchpoints.touchpoints, 0) as touchpoints,
        coalesce(touchpoints.orphan_touchpoints, 0) as orphan_touchpoints,
        coalesce(touchpoints.conversions, 0) as conversions,
        coalesce(revenue.revenue, 0) as revenue,
        coalesce(revenue.rewards, 0) as rewards
    from cells
    left join spend
        on
            cells.channel = spend.channel
            and cells.campaign = spend.campaign
            and cells.event_date = spend.event_date
    left join users
        on
            cells.channel = users.channel
            and cells.campaign = users.campaign
            and cells.event_date = users.event_date
    left join touchpoints
        on
            cells.channel = touchpoints.channel
            and cells.campaign = touchpoints.campaign
            and cells.event_date = touchpoints.event_date
    left join revenue
        on
            cells.channel = revenue.channel
            and cells.campaign = revenue.campaign
            and cells.event_date = revenue.event_date
),

final as (
    select
        channel,
        campaign,

        {{ performance() }},

        event_date
    from joined
)

select * from final
