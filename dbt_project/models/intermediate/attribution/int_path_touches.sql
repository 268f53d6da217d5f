{#- Read twice, and not named twice: DuckDB keeps what is named twice in memory, whole. -#}
{%- set touches -%}
    select
        user_id,
        channel,
        campaign,
        touchpoint_type,
        coalesce(lower(source), '') as source,
        coalesce(lower(medium), '') as medium,
        record_source,
        concat(
            channel, ' ', coalesce(touchpoint_type, ''), ' ', cast(repeat_number as {{ type_text() }})
        ) as touch_id,
        is_conversion,
        touched_at,
        touch_date
    from {{ ref('stg_user_touchpoints') }}
    where {{ in_window('touch_date') }}
    {%- if var('sessions_are_touches') %}

    union all

    select
        customer_id as user_id,
        'unknown' as channel,
        {{ campaign_name('utm_campaign') }} as campaign,
        'session' as touchpoint_type,
        coalesce(lower(utm_source), '') as source,
        coalesce(lower(utm_medium), '') as medium,
        'clickstream' as record_source,
        concat('session ', session_id) as touch_id,
        false as is_conversion,
        started_at as touched_at,
        session_date as touch_date
    from {{ ref('mart_sessions') }}
    where
        {{ in_window('session_date') }}
        and customer_id is not null
        and coalesce(utm_source, utm_medium, utm_campaign) is not null
    {%- endif %}
{%- endset %}

with touches as (
    {{ touches | trim }}
),

rules as (
    select * from {{ ref('lookup_channel_rules') }}
),

aliases as (
    select * from {{ ref('lookup_campaign_aliases') }}
),

without_channel as (
    select distinct
        source,
        medium,
        campaign
    from (
        {{ touches | trim }}
    ) as same_touches
    where channel = 'unknown' and (source != '' or medium != '')
),

derived as (
    select
        without_channel.source,
        without_channel.medium,
        without_channel.campaign,
        {{ value_at_first('rules.channel', 'rules.priority') }} as channel
    from without_channel
    inner join rules
        on
            (rules.source_pattern is null or {{ matches('without_channel.source', 'rules.source_pattern') }})
            and (rules.medium_pattern is null or {{ matches('without_channel.medium', 'rules.medium_pattern') }})
            and (rules.campaign_pattern is null or {{ matches('without_channel.campaign', 'rules.campaign_pattern') }})
    group by without_channel.source, without_channel.medium, without_channel.campaign
),

named as (
    select
        touches.user_id,
        coalesce(derived.channel, touches.channel) as channel,
        touches.campaign,
        touches.touchpoint_type,
        touches.record_source,
        touches.touch_id,
        touches.is_conversion,
        touches.touched_at,
        touches.touch_date
    from touches
    left join derived
        on
            touches.channel = 'unknown'
            and touches.source = derived.source
            and touches.medium = derived.medium
            and touches.campaign = derived.campaign
),

final as (
    select
        named.user_id,
        named.touch_id,

        named.channel,
        coalesce(aliases.campaign, named.campaign) as campaign,
        named.touchpoint_type,
        named.record_source,

        named.is_conversion,
        -- A row that says of a conversion alone leads to none.
        not named.is_conversion or named.channel != 'unknown' as is_touch,
        named.channel in ('unknown', '(none)', '(direct)', 'direct') as is_direct,

        named.touched_at,
        named.touch_date
    from named
    left join aliases on named.channel = aliases.channel and named.campaign = aliases.alias
)

select * from final
