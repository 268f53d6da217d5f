{{ config(materialized='view') }}

{%- set spans = (7, 30, 90) %}

with users as (
    select * from {{ ref('int_users') }}
    where is_current
),

days as (
    select * from {{ ref('int_user_daily') }}
),

newest as (
    select max(revenue_date) as newest_day from {{ ref('mart_cohort_daily') }}
),

summed as (
    select
        user_id,
        min(activity_date) as first_activity_date,
        max(activity_date) as last_activity_date,
        count(distinct activity_date) as active_days,
        sum(touchpoints) as touchpoints,
        sum(conversions) as conversions,
        {% for days in spans -%}
            sum(case when age_days between 0 and {{ days - 1 }} then revenue - rewards else 0 end) as margin_{{ days }}d,
        {% endfor -%}
        sum(revenue) as revenue,
        sum(rewards) as rewards,
        sum(rewards_without_rate) as rewards_without_rate
    from days
    group by user_id
),

joined as (
    select
        users.user_id,
        users.channel,
        users.campaign,
        users.installed_at,
        users.created_at,
        users.updated_at,
        users.install_date,
        summed.first_activity_date,
        summed.last_activity_date,
        {{ days_between('users.install_date', 'newest.newest_day') }} + 1 as days_observed,
        coalesce(summed.active_days, 0) as active_days,
        coalesce(summed.touchpoints, 0) as touchpoints,
        coalesce(summed.conversions, 0) as conversions,
        {% for days in spans -%}
            coalesce(summed.margin_{{ days }}d, 0) as margin_{{ days }}d,
        {% endfor -%}
        coalesce(summed.revenue, 0) as revenue,
        coalesce(summed.rewards, 0) as rewards,
        coalesce(summed.rewards_without_rate, 0) as rewards_without_rate
    from users
    left join summed on users.user_id = summed.user_id
    -- Last: DuckDB keeps a cross join in a view as a comma, which would bind later than the joins after it.
    cross join newest
),

final as (
    select
        user_id,

        channel,
        campaign,

        cast(active_days as {{ type_count() }}) as active_days,
        cast(touchpoints as {{ type_count() }}) as touchpoints,
        cast(conversions as {{ type_count() }}) as conversions,
        cast(revenue as {{ type_amount() }}) as revenue,
        cast(rewards as {{ type_amount() }}) as rewards,
        cast(rewards_without_rate as {{ type_count() }}) as rewards_without_rate,
        cast(revenue - rewards as {{ type_amount() }}) as margin,
        {% for days in spans -%}
            cast(case when days_observed >= {{ days }} then margin_{{ days }}d end as {{ type_amount() }}) as ltv_{{ days }}d,
        {% endfor -%}
        cast(days_observed as {{ type_count() }}) as days_observed,

        installed_at,
        created_at,
        updated_at,
        install_date,
        first_activity_date,
        last_activity_date
    from joined
)

select * from final
