with touchpoints as (
    select * from {{ ref('int_touchpoints') }}
    where {{ in_window('touch_date') }}
),

paid as (
    select * from {{ ref('int_revenue') }}
    where {{ in_window('revenue_date') }}
),

-- Each source by itself: joined first, a payment would count once for each touch of its day.
parts as (
    select
        user_id,
        touch_date as activity_date,
        acquisition_channel as channel,
        acquisition_campaign as campaign,
        install_date,
        is_known_user,
        1 as touchpoints,
        case when is_conversion then 1 else 0 end as conversions,
        0 as payments,
        cast(0 as {{ type_amount() }}) as revenue,
        cast(0 as {{ type_amount() }}) as rewards,
        cast(0 as {{ type_amount() }}) as rewards_original,
        0 as rewards_without_rate
    from touchpoints

    union all

    select
        user_id,
        revenue_date as activity_date,
        channel,
        campaign,
        install_date,
        is_known_user,
        0 as touchpoints,
        0 as conversions,
        1 as payments,
        revenue,
        coalesce(reward, 0) as rewards,
        reward_original as rewards_original,
        case when reward is null then 1 else 0 end as rewards_without_rate
    from paid
),

summed as (
    select
        user_id,
        activity_date,
        channel,
        campaign,
        install_date,
        is_known_user,
        sum(touchpoints) as touchpoints,
        sum(conversions) as conversions,
        sum(payments) as payments,
        sum(revenue) as revenue,
        sum(rewards) as rewards,
        sum(rewards_original) as rewards_original,
        sum(rewards_without_rate) as rewards_without_rate
    from parts
    group by user_id, activity_date, channel, campaign, install_date, is_known_user
),

final as (
    select
        user_id,

        channel,
        campaign,

        cast({{ days_between('install_date', 'activity_date') }} as {{ type_count() }}) as age_days,
        cast(touchpoints as {{ type_count() }}) as touchpoints,
        cast(conversions as {{ type_count() }}) as conversions,
        cast(payments as {{ type_count() }}) as payments,
        cast(revenue as {{ type_amount() }}) as revenue,
        cast(rewards as {{ type_amount() }}) as rewards,
        cast(rewards_original as {{ type_amount() }}) as rewards_original,
        cast(rewards_without_rate as {{ type_count() }}) as rewards_without_rate,

        is_known_user,

        install_date,
        activity_date
    from summed
)

select * from final
