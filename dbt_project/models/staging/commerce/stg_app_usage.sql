with source_uses as (
    select * from {{ ref('src_app_usage') }}
    where {{ in_window('usage_date') }} and duplicate_rank = 1
),

final as (
    select
        usage_id,
        {{ trimmed('customer_unique_id') }} as customer_unique_id,

        {{ trimmed('feature') }} as feature,
        record_source,
        region,

        cast({{ milliseconds_between('started_at', 'ended_at') }} / 60000.0 as {{ type_amount() }}) as minutes,

        started_at,
        ended_at,
        landed_at,
        usage_date
    from source_uses
)

select * from final
