{{ config(materialized='view') }}

with raw_items as (
    select * from {{ raw('order_items') }}
),

final as (
    select
        order_id,
        order_item_id,
        product_id,
        seller_id,

        'order_items' as record_source,
        cast(null as {{ type_text() }}) as region,

        price,
        freight_value,

        shipping_limit_date,
        _day as delivered_on,

        {{ duplicate_rank('order_items') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_items
)

select * from final
