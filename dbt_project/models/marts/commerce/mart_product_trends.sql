{%- set earlier = 55 %}
{%- set summed = ['units', 'revenue'] %}
{%- set spans = {'_7d': (6, 0), '_prior_7d': (13, 7), '_28d': (27, 0), '_prior_28d': (55, 28)} %}
{%- set of_28_days = ['orders', 'product_views', 'reviews', 'review_score_sum', 'stocked_days', 'stocked_units'] %}

with days as (
    select * from {{ ref('mart_product_daily') }}
    where {{ in_window('activity_date', of='mart_product_daily') }}
),

-- Each product on each day: a span is one of calendar days, and most products have no row on most of them.
cells as (
    select
        products.product_id,
        calendar.the_day
    from (select distinct product_id from days) as products
    cross join {{ days_of_window(earlier) }} as calendar
),

dense as (
    select
        cells.product_id,
        cells.the_day,
        coalesce(days.orders, 0) as orders,
        coalesce(days.units, 0) as units,
        coalesce(days.revenue, 0) as revenue,
        coalesce(days.product_views, 0) as product_views,
        coalesce(days.reviews, 0) as reviews,
        coalesce(days.review_score_sum, 0) as review_score_sum,
        case when days.stock_level > 0 then 1 else 0 end as stocked_days,
        case when days.stock_level > 0 then days.units else 0 end as stocked_units,
        case when days.product_id is not null then 1 else 0 end as rows_here
    from cells
    left join days on cells.product_id = days.product_id and cells.the_day = days.activity_date
),

spans as (
    select
        product_id,
        the_day,
        units,
        revenue,
        {% for suffix, days in spans.items() -%}
            {% for name in summed -%}
                sum({{ name }}) over (
                    partition by product_id order by the_day
                    rows between {{ days[0] }} preceding and {{ days[1] ~ ' preceding' if days[1] else 'current row' }}
                ) as {{ name }}{{ suffix }},
            {% endfor -%}
        {% endfor -%}
        {% for name in of_28_days -%}
            sum({{ name }}) over (
                partition by product_id order by the_day rows between 27 preceding and current row
            ) as {{ name }}_28d,
        {% endfor -%}
        sum(rows_here) over (
            partition by product_id order by the_day rows between {{ earlier }} preceding and current row
        ) as rows_of_span
    from dense
),

final as (
    select
        product_id,

        cast(units as {{ type_count() }}) as units,
        cast(revenue as {{ type_amount() }}) as revenue,
        {% for suffix in spans -%}
            cast(coalesce(units{{ suffix }}, 0) as {{ type_count() }}) as units{{ suffix }},
            cast(coalesce(revenue{{ suffix }}, 0) as {{ type_amount() }}) as revenue{{ suffix }},
        {% endfor -%}
        {% for name in summed -%}
            {{ growth(name ~ '_7d', name ~ '_prior_7d', 13, 'the_day') }} as {{ name }}_wow,
            {{ growth(name ~ '_28d', name ~ '_prior_28d', 55, 'the_day') }} as {{ name }}_mom,
        {% endfor -%}
        {% for name in of_28_days -%}
            cast({{ name }}_28d as {{ type_count() }}) as {{ name }}_28d,
        {% endfor -%}
        the_day as activity_date
    from spans
    where {{ in_window('the_day') }} and rows_of_span > 0
)

select * from final
