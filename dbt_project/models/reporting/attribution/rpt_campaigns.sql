{{ config(materialized='table_function', parameters={'first_day': 'date', 'last_day': 'date'}) }}

with days as (
    select * from {{ ref('campaign_performance_daily') }}
    where event_date >= {{ argument('first_day') }} and event_date <= {{ argument('last_day') }}
),

summed as (
    select
        channel,
        campaign,
        {{ sums_of(performance_numbers()) }}
    from days
    group by channel, campaign
),

final as (
    select
        channel,
        campaign,

        {{ performance() }}
    from summed
)

select * from final
