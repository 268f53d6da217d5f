{{ config(materialized='view') }}

with raw_orders as (
    select * from {{ raw('orders') }}
),

final as (
    select
        order_id,
        customer_id,

        order_status,
        'orders' as record_source,
        cast(null as {{ type_text() }}) as region,

        order_purchase_timestamp,
        order_approved_at,
        order_delivered_carrier_date,
        order_delivered_customer_date,
        order_estimated_delivery_date,
        last_event_at,
        _day as purchase_date,

        {{ duplicate_rank('orders') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_orders
)

select * from final
