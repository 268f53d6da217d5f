with orders as (
    select * from {{ ref('stg_orders') }}
    where {{ in_window('purchase_date') }}
),

customers as (
    select * from
        {{ newest_delivery(by_key('stg_customers'), ['_for_day', 'customer_id'], 'delivered_on') }} as newest
),

-- Lines and payments by themselves, each summed to one row an order: joined first, a payment would count once a line.
order_lines as (
    select
        purchase_date,
        order_id,
        count(*) as order_lines,
        sum(price) as item_value,
        sum(freight_value) as freight_value
    from {{ ref('int_order_lines') }}
    where {{ in_window('purchase_date') }}
    group by purchase_date, order_id
),

payments as (
    select
        _for_day,
        order_id,
        count(*) as payments,
        sum(payment_value) as payment_value
    from {{ newest_delivery(by_key('stg_order_payments'), ['_for_day', 'order_id'], 'delivered_on') }} as newest
    group by _for_day, order_id
),

final as (
    select
        orders.order_id,
        orders.customer_id,
        -- Until the customers file tells the person, the customer of the order stands for one.
        coalesce(customers.customer_unique_id, orders.customer_id) as customer_unique_id,

        customers.customer_state,
        orders.order_status,

        cast(coalesce(order_lines.order_lines, 0) as {{ type_count() }}) as order_lines,
        cast(coalesce(order_lines.item_value, 0) as {{ type_amount() }}) as item_value,
        cast(coalesce(order_lines.freight_value, 0) as {{ type_amount() }}) as freight_value,
        cast(coalesce(payments.payments, 0) as {{ type_count() }}) as payments,
        cast(coalesce(payments.payment_value, 0) as {{ type_amount() }}) as payment_value,
        cast(
            payments.payment_value - order_lines.item_value - order_lines.freight_value as {{ type_amount() }}
        ) as payment_difference,

        customers.customer_id is not null as is_known_customer,
        {{ has_status('orders.order_status', 'revenue_order_statuses') }} as is_revenue,
        {{ has_status('orders.order_status', 'cancelled_order_statuses') }} as is_cancelled,

        orders.order_purchase_timestamp,
        orders.order_approved_at,
        orders.order_delivered_carrier_date,
        orders.order_delivered_customer_date,
        orders.order_estimated_delivery_date,
        orders.purchase_date
    from orders
    left join customers on orders.customer_id = customers.customer_id and orders.purchase_date = customers._for_day
    left join order_lines on orders.order_id = order_lines.order_id and orders.purchase_date = order_lines.purchase_date
    left join payments on orders.order_id = payments.order_id and orders.purchase_date = payments._for_day
)

select * from final
