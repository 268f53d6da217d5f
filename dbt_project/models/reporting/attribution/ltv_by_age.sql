{{ config(materialized='view') }}

{%- set ages = (1, 2, 3, 4, 5, 6, 7, 10, 14, 21, 30, 45, 60, 75, 90) %}

with ages as (
    {% for age in ages -%}
        select {{ age }} as age
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

cohorts as (
    select
        channel,
        campaign,
        event_date as install_date,
        users
    from {{ ref('campaign_performance_daily') }}
    where users > 0
),

newest as (
    select max(revenue_date) as newest_day from {{ ref('mart_cohort_daily') }}
),

earned as (
    select
        daily.channel,
        daily.campaign,
        daily.install_date,
        ages.age,
        sum(daily.margin) as margin
    from {{ ref('mart_cohort_daily') }} as daily
    inner join ages on daily.age_days < ages.age
    where daily.install_date is not null and daily.age_days >= 0
    group by daily.channel, daily.campaign, daily.install_date, ages.age
),

-- A cohort that is too young for an age has no row of it: a row of 0 would say that it brought nothing.
reached as (
    select
        cohorts.channel,
        cohorts.campaign,
        cohorts.install_date,
        cohorts.users,
        ages.age
    from cohorts
    cross join ages
    cross join newest
    where {{ days_between('cohorts.install_date', 'newest.newest_day') }} + 1 >= ages.age
),

final as (
    select
        reached.channel,
        reached.campaign,
        substr(cast(reached.install_date as {{ type_text() }}), 1, 7) as install_month,

        cast(reached.age as {{ type_count() }}) as age,
        cast(reached.users as {{ type_count() }}) as users,
        cast(coalesce(earned.margin, 0) as {{ type_amount() }}) as margin,

        reached.install_date
    from reached
    left join earned
        on
            reached.channel = earned.channel
            and reached.campaign = earned.campaign
            and reached.install_date = earned.install_date
            and reached.age = earned.age
)

select * from final
