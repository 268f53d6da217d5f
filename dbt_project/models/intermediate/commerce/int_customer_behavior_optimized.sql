{{ config(materialized='view') }}

{#- The rows of int_customer_behavior, from what int_customer_daily keeps.

    Filtered early: a run makes the new days of int_customer_daily, and those of the keys that came late. No other row
    of staging is read again.
    Joined by key, once, when a day is made: which person an order is of, and what its lines are worth. Here nothing is
    joined any more.
    Aggregated in two steps: events, lines and reviews to a row a person and day, which is stored; then those to a row a
    person, here. All numbers add up, so the second step is a sum; ratios come last, from sums.
    A view and no table: one row a person over all days would have to be made anew for each late row. -#}

with summed as (
    select
        customer_unique_id,
        {{ sums_of(customer_numbers()) }},
        min(case when orders > 0 then activity_date end) as first_order_date,
        max(case when orders > 0 then activity_date end) as last_order_date
    from {{ ref('int_customer_daily') }}
    where {{ on_any_day('activity_date') }}
    group by customer_unique_id
),

final as (
    select
        customer_unique_id,

        {{ customer_behavior() }}
    from summed
)

select * from final
