{{ config(materialized='view') }}

{%- set spans = (7, 30, 90) %}

with cohorts as (
    select
        channel,
        campaign,
        event_date as install_date,
        users,
        spend
    from {{ ref('campaign_performance_daily') }}
    where users > 0
),

earned as (
    select * from {{ ref('mart_cohort_daily') }}
    where install_date is not null
),

newest as (
    select max(revenue_date) as newest_day from {{ ref('mart_cohort_daily') }}
),

cumulated as (
    select
        channel,
        campaign,
        install_date,
        age_days,
        sum(margin) over (
            partition by channel, campaign, install_date order by age_days
            rows between unbounded preceding and current row
        ) as margin_until
    from earned
),

paid_back as (
    select
        cumulated.channel,
        cumulated.campaign,
        cumulated.install_date,
        min(cumulated.age_days) as payback_age
    from cumulated
    inner join cohorts
        on
            cumulated.channel = cohorts.channel
            and cumulated.campaign = cohorts.campaign
            and cumulated.install_date = cohorts.install_date
    where cohorts.spend > 0 and cumulated.margin_until >= cohorts.spend
    group by cumulated.channel, cumulated.campaign, cumulated.install_date
),

summed as (
    select
        channel,
        campaign,
        install_date,
        {% for days in spans -%}
            sum(case when age_days between 0 and {{ days - 1 }} then margin else 0 end) as margin_{{ days }}d,
        {% endfor -%}
        sum(revenue) as revenue,
        sum(rewards) as rewards,
        sum(rewards_without_rate) as rewards_without_rate,
        sum(margin) as margin
    from earned
    group by channel, campaign, install_date
),

joined as (
    select
        cohorts.channel,
        cohorts.campaign,
        cohorts.install_date,
        cohorts.users,
        cohorts.spend,
        {{ days_between('cohorts.install_date', 'newest.newest_day') }} + 1 as days_observed,
        {% for days in spans -%}
            coalesce(summed.margin_{{ days }}d, 0) as margin_{{ days }}d,
        {% endfor -%}
        coalesce(summed.revenue, 0) as revenue,
        coalesce(summed.rewards, 0) as rewards,
        coalesce(summed.rewards_without_rate, 0) as rewards_without_rate,
        coalesce(summed.margin, 0) as margin,
        paid_back.payback_age
    from cohorts
    left join summed
        on
            cohorts.channel = summed.channel
            and cohorts.campaign = summed.campaign
            and cohorts.install_date = summed.install_date
    left join paid_back
        on
            cohorts.channel = paid_back.channel
            and cohorts.campaign = paid_back.campaign
            and cohorts.install_date = paid_back.install_date
    -- Last: DuckDB keeps a cross join in a view as a comma, which would bind later than the joins after it.
    cross join newest
),

final as (
    select
        channel,
        campaign,

        cast(users as {{ type_count() }}) as users,
        cast(days_observed as {{ type_count() }}) as days_observed,
        cast(spend as {{ type_amount() }}) as spend,
        cast(revenue as {{ type_amount() }}) as revenue,
        cast(rewards as {{ type_amount() }}) as rewards,
        cast(rewards_without_rate as {{ type_count() }}) as rewards_without_rate,
        cast(margin as {{ type_amount() }}) as margin,
        {% for days in spans -%}
            -- Both are null together, so that their sums over cohorts divide to the LTV of those that are old enough.
            cast(case when days_observed >= {{ days }} then users end as {{ type_count() }}) as users_{{ days }}d,
            cast(
                case when days_observed >= {{ days }} then margin_{{ days }}d end as {{ type_amount() }}
            ) as margin_{{ days }}d,
            case when days_observed >= {{ days }} then {{ ratio('margin_' ~ days ~ 'd', 'users') }} end as ltv_{{ days }}d,
        {% endfor -%}
        {{ ratio('margin', 'users') }} as ltv,
        cast(payback_age as {{ type_count() }}) as payback_age,

        install_date
    from joined
)

select * from final
