with source_orders as (
    select * from {{ ref('src_orders') }}
    where {{ in_window('purchase_date') }} and duplicate_rank = 1
),

final as (
    select
        order_id,
        customer_id,

        lower({{ trimmed('order_status') }}) as order_status,
        record_source,
        region,

        order_purchase_timestamp,
        order_approved_at,
        order_delivered_carrier_date,
        order_delivered_customer_date,
        order_estimated_delivery_date,
        last_event_at,
        landed_at,
        purchase_date
    from source_orders
)

select * from final
