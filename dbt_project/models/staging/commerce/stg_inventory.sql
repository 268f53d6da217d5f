with source_counts as (
    select * from {{ ref('src_inventory') }}
    where {{ in_window('count_date') }} and duplicate_rank = 1
),

final as (
    select
        product_id,

        warehouse,
        record_source,
        region,

        cast(stock_level as {{ type_count() }}) as stock_level,

        counted_at,
        landed_at,
        count_date
    from source_counts
)

select * from final
