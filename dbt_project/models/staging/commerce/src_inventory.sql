{{ config(materialized='view') }}

with raw_counts as (
    select * from {{ raw('inventory') }}
),

final as (
    select
        product_id,

        warehouse,
        'inventory' as record_source,
        cast(null as {{ type_text() }}) as region,

        stock_level,

        counted_at,
        _day as count_date,

        {{ duplicate_rank('inventory') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_counts
)

select * from final
