{{ config(materialized='view') }}

with orders as (
    select distinct order_id from {{ ref('stg_orders') }}
    where {{ on_any_day('purchase_date') }}
),

order_items as (
    select * from {{ newest_of_all_days('stg_order_items', ['order_id'], 'delivered_on') }} as newest
),

order_payments as (
    select * from {{ newest_of_all_days('stg_order_payments', ['order_id'], 'delivered_on') }} as newest
),

told as (
    select
        order_id,
        'lines' as rows_of,
        price + freight_value as amount,
        delivered_on as told_on
    from order_items

    union all

    select
        order_id,
        'payments' as rows_of,
        payment_value as amount,
        delivered_on as told_on
    from order_payments

    union all

    select
        order_id,
        'reviews' as rows_of,
        cast(null as {{ type_amount() }}) as amount,
        review_date as told_on
    from {{ ref('stg_order_reviews') }}
    where {{ on_any_day('review_date') }}
),

final as (
    select
        told.order_id,

        told.rows_of,

        cast(count(*) as {{ type_count() }}) as row_count,
        cast(sum(told.amount) as {{ type_amount() }}) as amount,

        max(told.told_on) as told_on
    from told
    left join orders on told.order_id = orders.order_id
    where orders.order_id is null
    group by told.order_id, told.rows_of
)

select * from final
