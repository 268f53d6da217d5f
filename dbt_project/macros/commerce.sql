{#- What the models of the shop share: which orders count, what adds up of a person and of a product, and the ratios. -#}

{#- Whether a status is one of those that a variable lists.
    column: the status, in small letters. name: of the variable. -#}
{% macro has_status(column, name) -%}
    {%- set statuses = [] -%}
    {%- for status in var(name) -%}
        {%- do statuses.append(dbt.string_literal(dbt.escape_single_quotes(status | string | trim | lower))) -%}
    {%- endfor -%}
    {%- if not statuses -%}
        false
    {%- else -%}
        coalesce({{ column }} in ({{ statuses | join(', ') }}), false)
    {%- endif -%}
{%- endmacro %}

{#- Some numbers by their own names, cast to their types. -#}
{% macro typed(numbers) -%}
    {%- for name, type in numbers.items() %}
        cast({{ name }} as {{ type }}) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- What a person did, as columns that add up over days, each with its type. -#}
{% macro customer_numbers() -%}
    {{ return({
        'orders': type_count(),
        'revenue_orders': type_count(),
        'order_value': type_amount(),
        'page_views': type_count(),
        'product_views': type_count(),
        'cart_adds': type_count(),
        'cart_removals': type_count(),
        'checkouts': type_count(),
        'purchases': type_count(),
        'other_events': type_count(),
        'app_uses': type_count(),
        'app_minutes': type_amount(),
        'tickets': type_count(),
        'reviews': type_count(),
        'review_score_sum': type_count(),
    }) }}
{%- endmacro %}

{#- The columns of what a person did over all days, and their ratios: of sums, and never a mean of means. -#}
{% macro customer_behavior() -%}
        cast(product_views as {{ type_count() }}) as product_views,
        cast(cart_adds as {{ type_count() }}) as cart_adds,
        cast(orders as {{ type_count() }}) as orders,
        cast(revenue_orders as {{ type_count() }}) as revenue_orders,
        cast(order_value as {{ type_amount() }}) as order_value,
        cast(app_uses as {{ type_count() }}) as app_uses,
        cast(app_minutes as {{ type_amount() }}) as app_minutes,
        cast(tickets as {{ type_count() }}) as tickets,
        cast(reviews as {{ type_count() }}) as reviews,
        {{ ratio('cart_adds', 'product_views') }} as view_to_cart,
        {{ ratio('orders', 'cart_adds') }} as cart_to_order,
        {{ ratio('review_score_sum', 'reviews') }} as review_score,

        first_order_date,
        last_order_date
{%- endmacro %}

{#- What happened with a product, as columns that add up over days and products, each with its type. Orders add up over
    days alone: an order of two products is one order of each. -#}
{% macro product_numbers() -%}
    {{ return({
        'orders': type_count(),
        'units': type_count(),
        'revenue': type_amount(),
        'costed_revenue': type_amount(),
        'cost': type_amount(),
        'units_without_cost': type_count(),
        'cancelled_units': type_count(),
        'cancelled_revenue': type_amount(),
        'product_views': type_count(),
        'cart_adds': type_count(),
        'reviews': type_count(),
        'review_score_sum': type_count(),
    }) }}
{%- endmacro %}

{#- By how much a sum differs from the one of the span before, as a fraction of that; null where that span has no such
    sum, or has a day before the first partition.
    sum, base: the two sums. days: from the first day of the span before to the day itself. day: the day. -#}
{% macro growth(sum, base, days, day) -%}
    case
        when {{ minus_days(day, days) }} >= {{ first_partition() }}
            then round({{ as_ratio(sum ~ ' - ' ~ base) }} / nullif({{ as_ratio(base) }}, 0), 6)
    end
{%- endmacro %}

{#- The table function of what happened with each product in each period of a span: sums, ratios of them, and their growth
    over the period before. A period that the span or the mart holds in part is told, and has no growth; neither has the
    one after it.
    start: an expression of the first day of the period of `day`. Its own argument is put into it.
    next, earlier: the same of the periods after and before one that begins on `period`. -#}
{% macro products_by_period(start, next, earlier) -%}
{%- set numbers = product_numbers() -%}
with days as (
    select
        *,
        {{ start }} as period
    from {{ ref('mart_product_daily') }}
    where activity_date >= {{ argument('first_day') }} and activity_date <= {{ argument('last_day') }}
),

ends as (
    select
        min(activity_date) as oldest_day,
        max(activity_date) as newest_day
    from {{ ref('mart_product_daily') }}
    where {{ on_any_day('activity_date') }}
),

summed as (
    select
        product_id,
        period,
        {{ value_at_last('product_name', 'activity_date') }} as product_name,
        {{ value_at_last('category', 'activity_date') }} as category,
        {{ value_at_last('stock_level', 'case when stock_level is not null then activity_date end') }} as stock_level,
        {{ sums_of(numbers) }}
    from days
    group by product_id, period
),

told as (
    select
        summed.*,
        summed.period >= greatest({{ argument('first_day') }}, ends.oldest_day)
        and {{ next }} <= {{ minus_days('least(' ~ argument('last_day') ~ ', ends.newest_day)', -1) }} as is_complete,
        {{ earlier }} as period_before,
        {{ earlier }} >= greatest({{ argument('first_day') }}, ends.oldest_day) as has_base
    from summed
    cross join ends
),

final as (
    select
        told.product_id,

        told.product_name,
        told.category,

        {% for name, type in numbers.items() -%}
        cast(told.{{ name }} as {{ type }}) as {{ name }},
        {% endfor -%}
        case
            when told.units > told.units_without_cost
                then cast(told.costed_revenue - told.cost as {{ type_amount() }})
        end as margin,
        {{ ratio('(told.costed_revenue - told.cost)', 'told.costed_revenue') }} as margin_rate,
        {% for name in ['units', 'revenue'] -%}
        case
            when told.is_complete and told.has_base
                then {{ ratio('(told.' ~ name ~ ' - before.' ~ name ~ ')', 'before.' ~ name) }}
        end as {{ name }}_growth,
        {% endfor -%}
        cast(told.stock_level as {{ type_count() }}) as stock_level,
        {{ ratio('told.orders', 'told.product_views') }} as view_to_purchase,
        {{ ratio('told.review_score_sum', 'told.reviews') }} as review_score,

        told.is_complete,

        told.period
    from told
    left join summed as before on told.product_id = before.product_id and told.period_before = before.period
)

select * from final
{%- endmacro %}
