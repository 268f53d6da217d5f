with touchpoints as (
    select * from {{ ref('stg_user_touchpoints') }}
    where {{ in_window('touch_date') }}
),

users as (
    select * from {{ newest_users(by_key('stg_users')) }} as newest_versions
),

final as (
    select
        touchpoints.user_id,

        touchpoints.channel,
        touchpoints.campaign,
        touchpoints.touchpoint_type,
        touchpoints.source,
        touchpoints.medium,
        coalesce(users.channel, 'unknown') as acquisition_channel,
        coalesce(users.campaign, 'unknown') as acquisition_campaign,

        touchpoints.repeat_number,

        touchpoints.is_conversion,
        users.user_id is not null as is_known_user,

        touchpoints.touched_at,
        users.install_date,
        touchpoints.touch_date
    from touchpoints
    left join users on touchpoints.user_id = users.user_id and touchpoints.touch_date = users._for_day
)

select * from final
