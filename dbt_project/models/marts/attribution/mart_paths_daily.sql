with credits as (
    select * from {{ ref('attribution_credit') }}
    where {{ in_window('conversion_date') }}
),

paths as (
    select
        conversion_id,
        -- A conversion that no touch led to has one row, without a number.
        max(case when coalesce(touch_number = touches, true) then channel end) as channel,
        max(case when coalesce(touch_number = touches, true) then campaign end) as campaign,
        max(touches) as touches,
        max(channels) as channels,
        cast({{ milliseconds_between('min(touched_at)', 'converted_at') }} as {{ type_ratio() }}) / (60 * 60 * 1000) as hours,
        conversion_date
    from credits
    group by conversion_id, converted_at, conversion_date
),

grouped as (
    select
        channel,
        campaign,
        case
            when touches = 0 then 'no touch'
            when touches <= 5 then cast(touches as {{ type_text() }})
            when touches <= 9 then '6 to 9'
            else '10 and more'
        end as path_length,
        case
            when hours is null then 'no touch'
            when hours < 1 then 'under 1 hour'
            when hours < 24 then '1 to 24 hours'
            when hours < 7 * 24 then '1 to 7 days'
            when hours < 14 * 24 then '7 to 14 days'
            when hours < 30 * 24 then '14 to 30 days'
            else '30 days and more'
        end as time_to_convert,
        touches,
        channels,
        -- Rounded before it is summed: a sum of fractions depends on their order.
        cast(round(coalesce(hours, 0) / 24, 6) as {{ type_amount() }}) as days_to_convert,
        conversion_date
    from paths
),

final as (
    select
        channel,
        campaign,
        path_length,
        time_to_convert,

        cast(count(*) as {{ type_count() }}) as conversions,
        cast(sum(case when touches > 0 then 1 else 0 end) as {{ type_count() }}) as conversions_with_touch,
        cast(sum(touches) as {{ type_count() }}) as touches,
        cast(sum(channels) as {{ type_count() }}) as channels,
        cast(sum(days_to_convert) as {{ type_amount() }}) as days_to_convert,

        conversion_date
    from grouped
    group by channel, campaign, path_length, time_to_convert, conversion_date
)

select * from final
