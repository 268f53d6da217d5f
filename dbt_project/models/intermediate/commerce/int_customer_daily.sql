{%- set numbers = customer_numbers() %}
{%- set types = {
    'page_views': 'page_view', 'product_views': 'product_view', 'cart_adds': 'add_to_cart',
    'cart_removals': 'remove_from_cart', 'checkouts': 'checkout', 'purchases': 'purchase',
} %}

with orders as (
    select * from {{ ref('int_orders') }}
    where {{ in_window('purchase_date') }}
),

events as (
    select * from {{ ref('int_events_sessionized') }}
    where {{ in_window('event_date') }} and customer_id is not null
),

app_usage as (
    select * from {{ ref('stg_app_usage') }}
    where {{ in_window('usage_date') }} and customer_unique_id is not null
),

tickets as (
    select * from {{ ref('stg_support_tickets') }}
    where {{ in_window('ticket_date') }} and customer_unique_id is not null
),

reviews as (
    select * from {{ ref('int_reviews') }}
    where {{ in_window('review_date') }} and customer_unique_id is not null
),

-- Each source summed by itself, and stacked: joined, each would count once a row of the others.
parts as (
    select
        customer_unique_id,
        purchase_date as activity_date,
        {{ numbers_or_zero(numbers, {
            'orders': 'count(*)',
            'revenue_orders': 'sum(case when is_revenue then 1 else 0 end)',
            'order_value': 'sum(case when is_revenue then item_value + freight_value else 0 end)',
        }) }}
    from orders
    group by customer_unique_id, purchase_date

    union all

    {% set counts = {} -%}
    {% for name, type in types.items() -%}
        {% do counts.update({name: "sum(case when event_type = '" ~ type ~ "' then 1 else 0 end)"}) -%}
    {% endfor -%}
    {% do counts.update({
        'other_events': "sum(case when event_type in ('" ~ types.values() | join("', '") ~ "') then 0 else 1 end)"
    }) -%}
    select
        customer_id as customer_unique_id,
        event_date as activity_date,
        {{ numbers_or_zero(numbers, counts) }}
    from events
    group by customer_id, event_date

    union all

    select
        customer_unique_id,
        usage_date as activity_date,
        {{ numbers_or_zero(numbers, {'app_uses': 'count(*)', 'app_minutes': 'coalesce(sum(minutes), 0)'}) }}
    from app_usage
    group by customer_unique_id, usage_date

    union all

    select
        customer_unique_id,
        ticket_date as activity_date,
        {{ numbers_or_zero(numbers, {'tickets': 'count(*)'}) }}
    from tickets
    group by customer_unique_id, ticket_date

    union all

    select
        customer_unique_id,
        review_date as activity_date,
        {{ numbers_or_zero(numbers, {'reviews': 'count(*)', 'review_score_sum': 'sum(review_score)'}) }}
    from reviews
    group by customer_unique_id, review_date
),

summed as (
    select
        customer_unique_id,
        activity_date,
        {{ sums_of(numbers) }}
    from parts
    group by customer_unique_id, activity_date
),

final as (
    select
        customer_unique_id,

        {{ typed(numbers) }},

        activity_date
    from summed
)

select * from final
