{{ config(materialized='view') }}

with sellers as (
    select * from {{ newest_of_all_days('stg_sellers', ['seller_id'], 'delivered_on') }} as newest
),

summed as (
    select
        seller_id,
        sum(units) as units,
        sum(revenue) as revenue,
        sum(cancelled_units) as cancelled_units,
        min(activity_date) as first_order_date,
        max(activity_date) as last_order_date
    from {{ ref('mart_seller_daily') }}
    group by seller_id
),

final as (
    select
        summed.seller_id,

        coalesce(sellers.seller_city, 'unknown') as seller_city,
        coalesce(sellers.seller_state, 'unknown') as seller_state,

        cast(summed.units as {{ type_count() }}) as units,
        cast(summed.revenue as {{ type_amount() }}) as revenue,
        cast(summed.cancelled_units as {{ type_count() }}) as cancelled_units,

        summed.first_order_date,
        summed.last_order_date
    from summed
    left join sellers on summed.seller_id = sellers.seller_id
)

select * from final
