with touches as (
    select * from {{ ref('int_path_touches') }}
    where {{ in_window('touch_date') }}
),

placed as (
    select
        *,
        row_number() over (
            partition by touch_date, user_id order by touched_at, is_conversion, touch_id, channel, campaign
        ) as place
    from touches
),

since_conversion as (
    select
        *,
        max(case when is_conversion then place else 0 end) over (partition by touch_date, user_id) as converted_at_place
    from placed
),

summed as (
    select
        user_id,
        touch_date,
        {{ path_of('case when is_touch and place > converted_at_place then channel end', 'place') }} as open_path,
        sum(case when is_touch then 1 else 0 end) as touches,
        sum(case when is_conversion then 1 else 0 end) as conversions
    from since_conversion
    group by user_id, touch_date
),

final as (
    select
        user_id,

        open_path,

        cast(touches as {{ type_count() }}) as touches,
        cast(conversions as {{ type_count() }}) as conversions,

        touch_date
    from summed
)

select * from final
