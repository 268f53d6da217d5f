{{ config(materialized='view') }}

with raw_revenue as (
    select * from {{ raw('revenue_and_rewards') }}
),

final as (
    select
        user_id,

        'revenue_and_rewards' as record_source,
        cast(null as {{ type_text() }}) as region,

        revenue,
        reward_to_user as reward,
        _repeat as repeat_number,

        {{ as_written('date') }} as paid_at,
        _day as revenue_date,

        {{ duplicate_rank('revenue_and_rewards') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_revenue
)

select * from final
