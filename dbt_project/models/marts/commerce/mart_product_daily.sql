{%- set numbers = product_numbers() %}

with order_lines as (
    select * from {{ ref('int_order_lines') }}
    where {{ in_window('purchase_date') }}
),

events as (
    select
        coalesce({{ trimmed(json_text('event_details', 'product_id')) }}, 'unknown') as product_id,
        event_type,
        event_date
    from {{ ref('int_events_sessionized') }}
    where {{ in_window('event_date') }} and event_type in ('product_view', 'add_to_cart')
),

reviews as (
    select * from {{ ref('int_product_reviews') }}
    where {{ in_window('review_date') }}
),

products as (
    select * from {{ ref('int_products') }}
    where {{ in_window('snapshot_date') }}
),

-- Each source summed by itself, and stacked: joined, a line would count once a view, a payment or a review.
parts as (
    select
        product_id,
        purchase_date as activity_date,
        {{ numbers_or_zero(numbers, {
            'orders': 'count(distinct case when is_revenue then order_id end)',
            'units': 'sum(case when is_revenue then 1 else 0 end)',
            'revenue': 'sum(case when is_revenue then price else 0 end)',
            'costed_revenue': 'sum(case when is_revenue and unit_cost is not null then price else 0 end)',
            'cost': 'sum(case when is_revenue then coalesce(unit_cost, 0) else 0 end)',
            'units_without_cost': 'sum(case when is_revenue and unit_cost is null then 1 else 0 end)',
            'cancelled_units': 'sum(case when is_cancelled then 1 else 0 end)',
            'cancelled_revenue': 'sum(case when is_cancelled then price else 0 end)',
        }) }}
    from order_lines
    group by product_id, purchase_date

    union all

    select
        product_id,
        event_date as activity_date,
        {{ numbers_or_zero(numbers, {
            'product_views': "sum(case when event_type = 'product_view' then 1 else 0 end)",
            'cart_adds': "sum(case when event_type = 'add_to_cart' then 1 else 0 end)",
        }) }}
    from events
    group by product_id, event_date

    union all

    select
        product_id,
        review_date as activity_date,
        {{ numbers_or_zero(numbers, {'reviews': 'count(*)', 'review_score_sum': 'sum(review_score)'}) }}
    from reviews
    group by product_id, review_date
),

summed as (
    select
        product_id,
        activity_date,
        {{ sums_of(numbers) }}
    from parts
    group by product_id, activity_date
),

-- What was counted holds on the days after it, until it is counted again; for so many days as meta.reads says, at most.
counts as (
    select
        days.the_day as activity_date,
        inventory.product_id,
        inventory.stock_level,
        {{ days_between('inventory.count_date', 'days.the_day') }} as age_days,
        row_number() over (
            partition by days.the_day, inventory.product_id, inventory.warehouse order by inventory.count_date desc
        ) as count_rank
    from {{ ref('stg_inventory') }} as inventory
    inner join {{ days_of_window() }} as days
        on
            inventory.count_date <= days.the_day
            and {{ minus_days('days.the_day', var('stock_holds_days')) }} <= inventory.count_date
    where {{ in_window('inventory.count_date', of='stg_inventory') }}
),

stock as (
    select
        product_id,
        activity_date,
        sum(stock_level) as stock_level,
        max(age_days) as stock_age_days
    from counts
    where count_rank = 1
    group by product_id, activity_date
),

cells as (
    select
        product_id,
        activity_date
    from summed
    union distinct
    select
        product_id,
        activity_date
    from stock
),

final as (
    select
        cells.product_id,

        coalesce(products.product_name, cells.product_id) as product_name,
        coalesce(products.category, 'unknown') as category,

        {% for name, type in numbers.items() -%}
            cast(coalesce(summed.{{ name }}, 0) as {{ type }}) as {{ name }},
        {% endfor -%}
        cast(stock.stock_level as {{ type_count() }}) as stock_level,
        cast(stock.stock_age_days as {{ type_count() }}) as stock_age_days,

        stock.stock_level = 0 as is_out_of_stock,

        cells.activity_date
    from cells
    left join summed on cells.product_id = summed.product_id and cells.activity_date = summed.activity_date
    left join stock on cells.product_id = stock.product_id and cells.activity_date = stock.activity_date
    left join products on cells.product_id = products.product_id and cells.activity_date = products.snapshot_date
)

select * from final
