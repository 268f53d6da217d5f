with order_lines as (
    select
        coalesce(seller_id, 'unknown') as known_seller_id,
        price,
        is_revenue,
        is_cancelled,
        purchase_date
    from {{ ref('int_order_lines') }}
    where {{ in_window('purchase_date') }}
),

summed as (
    select
        known_seller_id as seller_id,
        purchase_date as activity_date,
        sum(case when is_revenue then 1 else 0 end) as units,
        sum(case when is_revenue then price else 0 end) as revenue,
        sum(case when is_cancelled then 1 else 0 end) as cancelled_units
    from order_lines
    group by known_seller_id, purchase_date
),

final as (
    select
        seller_id,

        cast(units as {{ type_count() }}) as units,
        cast(revenue as {{ type_amount() }}) as revenue,
        cast(cancelled_units as {{ type_count() }}) as cancelled_units,

        activity_date
    from summed
)

select * from final
