with orders as (
    select * from {{ ref('stg_orders') }}
    where {{ in_window('purchase_date') }}
),

order_items as (
    select * from {{ newest_delivery(by_key('stg_order_items'), ['_for_day', 'order_id'], 'delivered_on') }} as newest
),

products as (
    select * from {{ ref('int_products') }}
    where {{ in_window('snapshot_date') }}
),

final as (
    select
        orders.order_id,
        order_items.order_item_id,
        order_items.product_id,
        order_items.seller_id,

        coalesce(products.product_name, order_items.product_id) as product_name,
        coalesce(products.category, 'unknown') as category,
        orders.order_status,

        order_items.price,
        order_items.freight_value,
        -- Of the day of the order: what a product costs today rewrites no margin of last year.
        products.unit_cost,

        {{ has_status('orders.order_status', 'revenue_order_statuses') }} as is_revenue,
        {{ has_status('orders.order_status', 'cancelled_order_statuses') }} as is_cancelled,

        order_items.shipping_limit_date,
        orders.purchase_date
    from orders
    inner join order_items on orders.order_id = order_items.order_id and orders.purchase_date = order_items._for_day
    left join products
        on order_items.product_id = products.product_id and orders.purchase_date = products.snapshot_date
)

select * from final
