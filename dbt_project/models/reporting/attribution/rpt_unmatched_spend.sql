{{ config(materialized='table_function', parameters={'first_day': 'date', 'last_day': 'date'}) }}

with days as (
    select * from {{ ref('attribution_daily') }}
    where model is null and event_date >= {{ argument('first_day') }} and event_date <= {{ argument('last_day') }}
),

summed as (
    select
        channel,
        campaign,
        sum(spend) as spend,
        sum(touchpoints) as touchpoints
    from days
    group by channel, campaign
),

final as (
    select
        channel,
        campaign,
        case when touchpoints = 0 then 'spend without touches' else 'touches without spend' end as what,

        cast(spend as {{ type_amount() }}) as spend,
        cast(touchpoints as {{ type_count() }}) as touchpoints
    from summed
    where (spend != 0 and touchpoints = 0) or (spend = 0 and touchpoints > 0)
)

select * from final
