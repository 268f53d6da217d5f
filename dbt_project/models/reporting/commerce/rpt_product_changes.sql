{{ config(
    materialized='table_function',
    parameters={'first_day_before': 'date', 'last_day_before': 'date', 'first_day': 'date', 'last_day': 'date'}
) }}

{#- Why the margin of one span is another than that of the span before, product by product. With q units of known cost,
    p their mean price and c their mean cost, before (0) and now (1), and Q the units of all products:
      price   q1 (p1 - p0)            what the same units bring at another price
      cost    -q1 (c1 - c0)           what the same units cost otherwise
      volume  q0 (p0 - c0) (Q1/Q0 - 1)  had all products sold more or less alike
      mix     the rest                that this one sold more or less than all did; all of it for a product that is new,
                                      and what volume leaves of one that is gone
    Mix is what the other three leave of the change, so the four add up to it exactly, whatever was rounded. The three
    are rounded to six digits, so that all warehouses agree on them. -#}

with days as (
    select
        *,
        activity_date >= {{ argument('first_day') }} and activity_date <= {{ argument('last_day') }} as is_now,
        activity_date >= {{ argument('first_day_before') }}
        and activity_date <= {{ argument('last_day_before') }} as is_before
    from {{ ref('mart_product_daily') }}
    where
        activity_date >= least({{ argument('first_day') }}, {{ argument('first_day_before') }})
        and activity_date <= greatest({{ argument('last_day') }}, {{ argument('last_day_before') }})
),

summed as (
    select
        product_id,
        {% for suffix, which in {'before': 'is_before', 'now': 'is_now'}.items() -%}
            sum(case when {{ which }} then units - units_without_cost else 0 end) as units_{{ suffix }},
            sum(case when {{ which }} then costed_revenue else 0 end) as revenue_{{ suffix }},
            sum(case when {{ which }} then cost else 0 end) as cost_{{ suffix }},
        {% endfor -%}
        {{ value_at_last('product_name', 'activity_date') }} as product_name,
        {{ value_at_last('category', 'activity_date') }} as category
    from days
    group by product_id
),

of_all as (
    select
        *,
        sum(units_before) over () as all_units_before,
        sum(units_now) over () as all_units_now,
        units_before > 0 and units_now > 0 as is_in_both
    from summed
    where units_before > 0 or units_now > 0
),

-- As fractions of two numbers each, and rounded once.
effects as (
    select
        *,
        cast(revenue_now - cost_now - (revenue_before - cost_before) as {{ type_amount() }}) as margin_change,
        case
            when is_in_both then revenue_now - units_now * {{ as_ratio('revenue_before') }} / units_before else 0
        end as price_part,
        case
            when is_in_both then units_now * {{ as_ratio('cost_before') }} / units_before - cost_now else 0
        end as cost_part,
        coalesce(
            {{ as_ratio('revenue_before - cost_before') }} * (all_units_now - all_units_before)
            / nullif(all_units_before, 0),
            0
        ) as volume_part
    from of_all
),

rounded as (
    select
        *,
        cast(round(price_part, 6) as {{ type_amount() }}) as price_effect,
        cast(round(cost_part, 6) as {{ type_amount() }}) as cost_effect,
        cast(round(volume_part, 6) as {{ type_amount() }}) as volume_effect
    from effects
),

final as (
    select
        product_id,

        product_name,
        category,

        cast(units_before as {{ type_count() }}) as units_before,
        cast(units_now as {{ type_count() }}) as units_now,
        cast(revenue_before as {{ type_amount() }}) as revenue_before,
        cast(revenue_now as {{ type_amount() }}) as revenue_now,
        cast(cost_before as {{ type_amount() }}) as cost_before,
        cast(cost_now as {{ type_amount() }}) as cost_now,
        cast(revenue_before - cost_before as {{ type_amount() }}) as margin_before,
        cast(revenue_now - cost_now as {{ type_amount() }}) as margin_now,
        price_effect,
        volume_effect,
        cast(margin_change - price_effect - volume_effect - cost_effect as {{ type_amount() }}) as mix_effect,
        cost_effect,
        margin_change
    from rounded
)

select * from final
