-- The rows of all four files below each other, each with its own numbers. No source is joined to another, so that none
-- counts another's rows twice, and a channel that is in one of them alone stays.
with parts as (
    select
        channel,
        campaign,
        spend_date as event_date,
        spend,
        impressions,
        clicks,
        installs,
        0 as users,
        0 as touchpoints,
        0 as orphan_touchpoints,
        0 as conversions,
        cast(0 as {{ type_amount() }}) as revenue,
        cast(0 as {{ type_amount() }}) as rewards,
        cast(0 as {{ type_amount() }}) as rewards_original,
        0 as rewards_without_rate
    from {{ ref('stg_marketing_spend') }}
    where {{ in_window('spend_date') }}

    union all

    select
        channel,
        campaign,
        install_date as event_date,
        cast(0 as {{ type_amount() }}) as spend,
        0 as impressions,
        0 as clicks,
        0 as installs,
        1 as users,
        0 as touchpoints,
        0 as orphan_touchpoints,
        0 as conversions,
        cast(0 as {{ type_amount() }}) as revenue,
        cast(0 as {{ type_amount() }}) as rewards,
        cast(0 as {{ type_amount() }}) as rewards_original,
        0 as rewards_without_rate
    from {{ ref('int_users') }}
    where {{ in_window('install_date') }} and is_current

    union all

    select
        channel,
        campaign,
        touch_date as event_date,
        cast(0 as {{ type_amount() }}) as spend,
        0 as impressions,
        0 as clicks,
        0 as installs,
        0 as users,
        1 as touchpoints,
        case when is_known_user then 0 else 1 end as orphan_touchpoints,
        case when is_conversion then 1 else 0 end as conversions,
        cast(0 as {{ type_amount() }}) as revenue,
        cast(0 as {{ type_amount() }}) as rewards,
        cast(0 as {{ type_amount() }}) as rewards_original,
        0 as rewards_without_rate
    from {{ ref('int_touchpoints') }}
    where {{ in_window('touch_date') }}

    union all

    select
        channel,
        campaign,
        revenue_date as event_date,
        cast(0 as {{ type_amount() }}) as spend,
        0 as impressions,
        0 as clicks,
        0 as installs,
        0 as users,
        0 as touchpoints,
        0 as orphan_touchpoints,
        0 as conversions,
        revenue,
        coalesce(reward, 0) as rewards,
        reward_original as rewards_original,
        case when reward is null then 1 else 0 end as rewards_without_rate
    from {{ ref('int_revenue') }}
    where {{ in_window('revenue_date') }}
),

summed as (
    select
        channel,
        campaign,
        event_date,
        {{ summed_performance() }}
    from parts
    group by channel, campaign, event_date
),

final as (
    select
        channel,
        campaign,

        {{ performance() }},

        event_date
    from summed
)

select * from final
