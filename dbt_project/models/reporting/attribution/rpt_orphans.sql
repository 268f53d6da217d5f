{{ config(materialized='view') }}

with days as (
    select * from {{ ref('int_user_daily') }}
    where not is_known_user
),

final as (
    select
        user_id,

        touchpoints,
        conversions,
        payments,
        revenue,
        rewards,
        rewards_without_rate,

        activity_date
    from days
)

select * from final
