with orders as (
    select * from {{ ref('int_orders') }}
    where {{ in_window('purchase_date') }} and (order_lines = 0 or payments = 0 or payment_difference != 0)
),

final as (
    select
        order_id,
        customer_unique_id,

        case
            when order_lines = 0 and payments = 0 then 'neither lines nor payments'
            when order_lines = 0 then 'no lines'
            when payments = 0 then 'no payments'
            else 'another sum'
        end as difference,
        order_status,

        order_lines,
        item_value,
        freight_value,
        payments,
        payment_value,
        cast(payment_value - item_value - freight_value as {{ type_amount() }}) as amount,

        purchase_date
    from orders
)

select * from final
