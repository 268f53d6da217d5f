with campaigns as (
    select * from {{ ref('campaign_performance_daily') }}
    where {{ in_window('event_date') }}
),

summed as (
    select
        channel,
        event_date,
        {{ sums_of(performance_numbers()) }}
    from campaigns
    group by channel, event_date
),

final as (
    select
        channel,

        {{ performance() }},

        event_date
    from summed
)

select * from final
