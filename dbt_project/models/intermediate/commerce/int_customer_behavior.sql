{{ config(materialized='view') }}

{#- What each person did over all days, worked out from the rows of staging: the plain way, and what the optimized one
    is held against. Whoever reads it reads all of history, joins each order with its person and its lines, and sums. -#}

with customers as (
    select * from {{ newest_of_all_days('stg_customers', ['customer_id'], 'delivered_on') }} as newest
),

order_lines as (
    select
        order_id,
        sum(price) as item_value,
        sum(freight_value) as freight_value
    from {{ newest_of_all_days('stg_order_items', ['order_id'], 'delivered_on') }} as newest
    group by order_id
),

orders as (
    select
        orders.order_id,
        coalesce(customers.customer_unique_id, orders.customer_id) as customer_unique_id,
        orders.purchase_date,
        {{ has_status('orders.order_status', 'revenue_order_statuses') }} as is_revenue,
        coalesce(order_lines.item_value + order_lines.freight_value, 0) as order_value
    from {{ ref('stg_orders') }} as orders
    left join customers on orders.customer_id = customers.customer_id
    left join order_lines on orders.order_id = order_lines.order_id
    where {{ on_any_day('orders.purchase_date') }}
),

of_orders as (
    select
        customer_unique_id,
        count(*) as orders,
        sum(case when is_revenue then 1 else 0 end) as revenue_orders,
        sum(case when is_revenue then order_value else 0 end) as order_value,
        min(purchase_date) as first_order_date,
        max(purchase_date) as last_order_date
    from orders
    group by customer_unique_id
),

of_events as (
    select
        customer_id as customer_unique_id,
        sum(case when event_type = 'product_view' then 1 else 0 end) as product_views,
        sum(case when event_type = 'add_to_cart' then 1 else 0 end) as cart_adds
    from {{ ref('int_events_sessionized') }}
    where {{ on_any_day('event_date') }} and customer_id is not null
    group by customer_id
),

of_app as (
    select
        customer_unique_id,
        count(*) as app_uses,
        coalesce(sum(minutes), 0) as app_minutes
    from {{ ref('stg_app_usage') }}
    where {{ on_any_day('usage_date') }} and customer_unique_id is not null
    group by customer_unique_id
),

of_tickets as (
    select
        customer_unique_id,
        count(*) as tickets
    from {{ ref('stg_support_tickets') }}
    where {{ on_any_day('ticket_date') }} and customer_unique_id is not null
    group by customer_unique_id
),

persons_of_orders as (
    select
        order_id,
        {{ value_at_last('customer_unique_id', 'purchase_date') }} as customer_unique_id
    from orders
    group by order_id
),

of_reviews as (
    select
        persons_of_orders.customer_unique_id,
        count(*) as reviews,
        sum(reviews.review_score) as review_score_sum
    from {{ ref('stg_order_reviews') }} as reviews
    inner join persons_of_orders on reviews.order_id = persons_of_orders.order_id
    where {{ on_any_day('reviews.review_date') }}
    group by persons_of_orders.customer_unique_id
),

persons as (
    select customer_unique_id from of_orders
    union distinct
    select customer_unique_id from of_events
    union distinct
    select customer_unique_id from of_app
    union distinct
    select customer_unique_id from of_tickets
    union distinct
    select customer_unique_id from of_reviews
),

joined as (
    select
        persons.customer_unique_id,
        coalesce(of_events.product_views, 0) as product_views,
        coalesce(of_events.cart_adds, 0) as cart_adds,
        coalesce(of_orders.orders, 0) as orders,
        coalesce(of_orders.revenue_orders, 0) as revenue_orders,
        coalesce(of_orders.order_value, 0) as order_value,
        coalesce(of_app.app_uses, 0) as app_uses,
        coalesce(of_app.app_minutes, 0) as app_minutes,
        coalesce(of_tickets.tickets, 0) as tickets,
        coalesce(of_reviews.reviews, 0) as reviews,
        coalesce(of_reviews.review_score_sum, 0) as review_score_sum,
        of_orders.first_order_date,
        of_orders.last_order_date
    from persons
    left join of_events on persons.customer_unique_id = of_events.customer_unique_id
    left join of_orders on persons.customer_unique_id = of_orders.customer_unique_id
    left join of_app on persons.customer_unique_id = of_app.customer_unique_id
    left join of_tickets on persons.customer_unique_id = of_tickets.customer_unique_id
    left join of_reviews on persons.customer_unique_id = of_reviews.customer_unique_id
),

final as (
    select
        customer_unique_id,

        {{ customer_behavior() }}
    from joined
)

select * from final
