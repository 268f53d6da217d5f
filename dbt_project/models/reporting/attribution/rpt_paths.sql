{{ config(materialized='table_function', parameters={'first_day': 'date', 'last_day': 'date'}) }}

{#- Days at the end of the span without a touch, after which a path has come to its end. -#}
{%- set closed_after = whole_number('touch_lookback_days', var('touch_lookback_days'), 0, 366) if var('only_closed_paths') else 0 %}

with credits as (
    select * from {{ ref('attribution_credit') }}
    where conversion_date >= {{ argument('first_day') }} and conversion_date <= {{ argument('last_day') }}
),

converting as (
    select
        conversion_id,
        {{ path_of('channel', 'touch_number') }} as path
    from credits
    group by conversion_id
),

user_days as (
    select
        *,
        max(case when conversions > 0 then touch_date end) over (partition by user_id) as last_converted_on,
        max(touch_date) over (partition by user_id) as last_touched_on
    from {{ ref('user_paths_daily') }}
    where touch_date >= {{ argument('first_day') }} and touch_date <= {{ argument('last_day') }}
),

-- What a user has done since, as far as it has led to nothing.
not_converting as (
    select
        user_id,
        {{ path_of_paths('open_path', 'touch_date') }} as path
    from user_days
    where
        open_path is not null
        and (last_converted_on is null or touch_date >= last_converted_on)
        and last_touched_on <= {{ minus_days(argument('last_day'), closed_after) }}
    group by user_id
),

paths as (
    select
        path,
        true as is_converting
    from converting

    union all

    select
        path,
        false as is_converting
    from not_converting
),

final as (
    select
        path,

        is_converting,

        cast(count(*) as {{ type_count() }}) as paths,
        cast(sum(case when is_converting then 1 else 0 end) as {{ type_count() }}) as conversions
    from paths
    group by path, is_converting
)

select * from final
