with converting as (
    select
        *,
        -- Two rows that differ in the case of a letter alone are two conversions.
        row_number() over (partition by user_id, touched_at, touch_id order by channel, campaign) as copy_number
    from {{ ref('int_path_touches') }}
    where {{ in_window('touch_date') }} and is_conversion
),

final as (
    select
        concat(
            user_id, ' ', {{ exact_text('touched_at', 'time') }}, ' ', touch_id,
            case when copy_number > 1 then concat(' ', cast(copy_number as {{ type_text() }})) else '' end
        ) as conversion_id,
        user_id,
        touch_id,

        touched_at as converted_at,
        touch_date as conversion_date
    from converting
)

select * from final
