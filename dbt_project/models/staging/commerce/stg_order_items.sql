with source_items as (
    select * from {{ ref('src_order_items') }}
    where {{ in_window('delivered_on') }} and duplicate_rank = 1
),

final as (
    select
        order_id,
        cast(order_item_id as {{ type_count() }}) as order_item_id,
        product_id,
        seller_id,

        record_source,
        region,

        cast(price as {{ type_amount() }}) as price,
        cast(freight_value as {{ type_amount() }}) as freight_value,

        shipping_limit_date,
        landed_at,
        delivered_on
    from source_items
)

select * from final
