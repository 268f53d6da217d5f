with payments as (
    select * from {{ ref('int_user_daily') }}
    where {{ in_window('activity_date') }} and payments > 0
),

summed as (
    select
        channel,
        campaign,
        age_days,
        install_date,
        activity_date as revenue_date,
        sum(case when revenue > 0 then 1 else 0 end) as payers,
        sum(revenue) as revenue,
        sum(rewards) as rewards,
        sum(rewards_original) as rewards_original,
        sum(rewards_without_rate) as rewards_without_rate
    from payments
    group by channel, campaign, age_days, install_date, activity_date
),

final as (
    select
        channel,
        campaign,
        case
            when age_days is null then 'unknown'
            when age_days < 0 then 'before the install'
            when age_days < 7 then '0 to 6'
            when age_days < 30 then '7 to 29'
            when age_days < 90 then '30 to 89'
            else '90 and more'
        end as age_group,
        coalesce(substr(cast(install_date as {{ type_text() }}), 1, 7), 'unknown') as install_month,

        age_days,
        cast(payers as {{ type_count() }}) as payers,
        cast(revenue as {{ type_amount() }}) as revenue,
        cast(rewards as {{ type_amount() }}) as rewards,
        cast(rewards_original as {{ type_amount() }}) as rewards_original,
        cast(rewards_without_rate as {{ type_count() }}) as rewards_without_rate,
        cast(revenue - rewards as {{ type_amount() }}) as margin,

        install_date,
        revenue_date
    from summed
)

select * from final
