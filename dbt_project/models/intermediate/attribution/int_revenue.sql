{%- set is_converted = currency_code(var('reward_currency')) != currency_code(var('revenue_currency')) %}

with revenue as (
    select * from {{ ref('stg_revenue_and_rewards') }}
    where {{ in_window('revenue_date') }}
),

users as (
    select * from {{ newest_users(by_key('stg_users')) }} as newest_versions
),

rates as (
    select
        rate,
        rate_date
    from {{ ref('stg_exchange_rates') }}
    where
        {{ in_window('rate_date', of='stg_exchange_rates') }}
        and currency = {{ dbt.string_literal(dbt.escape_single_quotes(currency_code(var('reward_currency')))) }}
),

-- There are no rates on weekends: the newest of the day and the seven before it holds. That is the span of meta.reads.
ranked_rates as (
    select
        days.revenue_date,
        rates.rate,
        row_number() over (partition by days.revenue_date order by rates.rate_date desc, rates.rate asc) as rate_rank
    from (select distinct revenue_date from revenue) as days
    inner join rates
        on
            days.revenue_date >= rates.rate_date
            and {{ minus_days('days.revenue_date', 7) }} <= rates.rate_date
),

rates_of_days as (
    select
        revenue_date,
        rate
    from ranked_rates
    where rate_rank = 1
),

priced as (
    select
        revenue.*,
        case when {{ is_converted | lower }} then rates_of_days.rate else cast(1 as {{ type_amount() }}) end as reward_rate
    from revenue
    left join rates_of_days on revenue.revenue_date = rates_of_days.revenue_date
),

final as (
    select
        priced.user_id,

        coalesce(users.channel, 'unknown') as channel,
        coalesce(users.campaign, 'unknown') as campaign,

        priced.revenue,
        priced.reward_original,
        priced.reward_rate,
        -- Nothing is nothing in any currency; what has no rate is not nothing.
        case
            when priced.reward_original = 0 then cast(0 as {{ type_amount() }})
            else cast(priced.reward_original * priced.reward_rate as {{ type_amount() }})
        end as reward,
        cast({{ days_between('users.install_date', 'priced.revenue_date') }} as {{ type_count() }}) as age_days,
        priced.repeat_number,

        users.user_id is not null as is_known_user,

        priced.paid_at,
        users.install_date,
        priced.revenue_date
    from priced
    left join users on priced.user_id = users.user_id and priced.revenue_date = users._for_day
)

select * from final
