with source_revenue as (
    select * from {{ ref('src_revenue_and_rewards') }}
    where {{ in_window('revenue_date') }} and duplicate_rank = 1
),

final as (
    select
        user_id,

        record_source,
        region,

        cast(revenue as {{ type_amount() }}) as revenue,
        cast(reward as {{ type_amount() }}) as reward_original,
        cast(repeat_number as {{ type_count() }}) as repeat_number,

        paid_at,
        landed_at,
        revenue_date
    from source_revenue
)

select * from final
