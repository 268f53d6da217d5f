with trends as (
    select * from {{ ref('mart_product_trends') }}
    where {{ in_window('activity_date') }}
),

days as (
    select * from {{ ref('mart_product_daily') }}
    where {{ in_window('activity_date') }}
),

products as (
    select * from {{ ref('int_products') }}
    where {{ in_window('snapshot_date') }}
),

final as (
    select
        trends.product_id,

        coalesce(products.product_name, trends.product_id) as product_name,
        coalesce(products.category, 'unknown') as category,

        {% for name, type in product_numbers().items() -%}
            cast(coalesce(days.{{ name }}, 0) as {{ type }}) as {{ name }},
        {% endfor -%}
        case
            when days.units > days.units_without_cost
                then cast(days.costed_revenue - days.cost as {{ type_amount() }})
        end as margin,
        {{ ratio('days.costed_revenue - days.cost', 'days.costed_revenue') }} as margin_rate,

        {% for suffix in ['_7d', '_prior_7d', '_28d', '_prior_28d'] -%}
            trends.units{{ suffix }},
            trends.revenue{{ suffix }},
        {% endfor -%}
        trends.units_wow,
        trends.revenue_wow,
        trends.units_mom,
        trends.revenue_mom,

        days.stock_level,
        days.stock_age_days,
        days.is_out_of_stock,
        {{ ratio('days.stock_level * trends.stocked_days_28d', 'trends.stocked_units_28d') }} as days_of_inventory,
        {{ ratio('trends.units_28d', '(trends.units_28d + days.stock_level)') }} as sell_through,

        {{ ratio('trends.orders_28d', 'trends.product_views_28d') }} as view_to_purchase,
        {{ ratio('trends.review_score_sum_28d', 'trends.reviews_28d') }} as review_score,

        trends.activity_date
    from trends
    left join days on trends.product_id = days.product_id and trends.activity_date = days.activity_date
    left join products on trends.product_id = products.product_id and trends.activity_date = products.snapshot_date
)

select * from final
