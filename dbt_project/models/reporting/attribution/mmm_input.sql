{{ config(materialized='view') }}

with days as (
    select
        *,
        {{ monday_of('event_date') }} as week
    from {{ ref('channel_performance_daily') }}
),

ends as (
    select
        min(event_date) as first_day,
        max(event_date) as last_day
    from days
),

weeks as (
    select distinct week from days
),

channels as (
    select distinct channel from days
),

-- Each channel in each week: what a model is fitted on must say that nothing was spent.
cells as (
    select
        channels.channel,
        weeks.week,
        7 - greatest({{ days_between('weeks.week', 'ends.first_day') }}, 0)
        - greatest(6 - {{ days_between('weeks.week', 'ends.last_day') }}, 0) as days
    from weeks
    cross join channels
    cross join ends
),

summed as (
    select
        channel,
        week,
        sum(spend) as spend,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(conversions) as conversions,
        sum(revenue) as revenue
    from days
    group by channel, week
),

final as (
    select
        cells.channel,

        cast(cells.days as {{ type_count() }}) as days,
        cast(coalesce(summed.spend, 0) as {{ type_amount() }}) as spend,
        cast(coalesce(summed.impressions, 0) as {{ type_count() }}) as impressions,
        cast(coalesce(summed.clicks, 0) as {{ type_count() }}) as clicks,
        cast(coalesce(summed.conversions, 0) as {{ type_count() }}) as conversions,
        cast(coalesce(summed.revenue, 0) as {{ type_amount() }}) as revenue,

        cells.week
    from cells
    left join summed on cells.week = summed.week and cells.channel = summed.channel
)

select * from final
