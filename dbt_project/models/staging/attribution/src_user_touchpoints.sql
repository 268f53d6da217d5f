{{ config(materialized='view') }}

with raw_touchpoints as (
    select * from {{ raw('user_touchpoints') }}
),

final as (
    select
        user_id,

        channel,
        campaign,
        touchpoint_type,
        source,
        medium,
        'user_touchpoints' as record_source,
        cast(null as {{ type_text() }}) as region,

        _repeat as repeat_number,

        conversion as is_conversion,

        touchpoint_date as touched_at,
        _day as touch_date,

        {{ duplicate_rank('user_touchpoints') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_touchpoints
)

select * from final
