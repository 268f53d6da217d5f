{{ config(materialized='view') }}

with raw_sellers as (
    select * from {{ raw('sellers') }}
),

final as (
    select
        seller_id,

        seller_zip_code_prefix,
        seller_city,
        seller_state,
        'sellers' as record_source,
        cast(null as {{ type_text() }}) as region,

        _day as delivered_on,

        {{ duplicate_rank('sellers') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_sellers
)

select * from final
