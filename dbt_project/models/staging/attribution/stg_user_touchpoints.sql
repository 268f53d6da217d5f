with source_touchpoints as (
    select * from {{ ref('src_user_touchpoints') }}
    where {{ in_window('touch_date') }} and duplicate_rank = 1
),

final as (
    select
        user_id,

        {{ channel_name('channel') }} as channel,
        {{ campaign_name('campaign') }} as campaign,
        lower({{ trimmed('touchpoint_type') }}) as touchpoint_type,
        {{ trimmed('source') }} as source,
        {{ trimmed('medium') }} as medium,
        record_source,
        region,

        cast(repeat_number as {{ type_count() }}) as repeat_number,

        coalesce(is_conversion, false) as is_conversion,

        touched_at,
        landed_at,
        touch_date
    from source_touchpoints
)

select * from final
