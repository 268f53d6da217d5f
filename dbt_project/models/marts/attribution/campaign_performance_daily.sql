{%- set numbers = performance_numbers() -%}

-- The rows of all four files below each other, each with its own numbers. No source is joined to another, so that none
-- counts another's rows twice, and a channel that is in one of them alone stays.
with parts as (
    select
        channel,
        campaign,
        spend_date as event_date,
        {{ numbers_or_zero(numbers, {
            'spend': 'spend', 'impressions': 'impressions', 'clicks': 'clicks', 'installs': 'installs'
        }) }}
    from {{ ref('stg_marketing_spend') }}
    where {{ in_window('spend_date') }}

    union all

    select
        channel,
        campaign,
        install_date as event_date,
        {{ numbers_or_zero(numbers, {'users': 1}) }}
    from {{ ref('int_users') }}
    where {{ in_window('install_date') }} and is_current

    union all

    select
        channel,
        campaign,
        touch_date as event_date,
        {{ numbers_or_zero(numbers, {
            'touchpoints': 1,
            'orphan_touchpoints': 'case when is_known_user then 0 else 1 end',
            'conversions': 'case when is_conversion then 1 else 0 end',
        }) }}
    from {{ ref('int_touchpoints') }}
    where {{ in_window('touch_date') }}

    union all

    select
        channel,
        campaign,
        revenue_date as event_date,
        {{ numbers_or_zero(numbers, {
            'revenue': 'revenue',
            'rewards': 'coalesce(reward, 0)',
            'rewards_original': 'reward_original',
            'rewards_without_rate': 'case when reward is null then 1 else 0 end',
        }) }}
    from {{ ref('int_revenue') }}
    where {{ in_window('revenue_date') }}
),

summed as (
    select
        channel,
        campaign,
        event_date,
        {{ sums_of(numbers) }}
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
