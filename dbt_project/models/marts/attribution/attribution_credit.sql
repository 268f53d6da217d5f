{%- set whole = credit_units() -%}
{%- set restarts = var('path_restarts_after_conversion') -%}
{%- set half_life = whole_number('time_decay_half_life_days', var('time_decay_half_life_days'), 1, 366) -%}
{%- set first, last = units_of_shares('position_based_shares', ['first', 'last']) -%}
{%- set w_first, w_middle, w_last = units_of_shares('w_shaped_shares', ['first', 'middle', 'last']) -%}
{%- set w_three = w_first + w_middle + w_last -%}
{%- set divided = ['linear', 'position_based', 'time_decay', 'w_shaped', 'shapley'] -%}

with conversions as (
    select
        *,
        -- Windows over numbers take a fraction of the time of windows over texts. It is counted by day, since BigQuery
        -- counts on one machine what is not divided.
        {{ days_between("date '1970-01-01'", 'conversion_date') }} * {{ whole }}
        + row_number() over (partition by conversion_date order by conversion_id) as path_number
    from {{ ref('int_conversions') }}
    where {{ in_window('conversion_date') }}
),

touches as (
    select
        *,
        {{ plus_minutes('touched_at', '24 * 60 * ' ~ touch_lookback_days('touchpoint_type')) }} as counts_until
    from {{ by_key('int_path_touches') }} as touches_of_users
),

-- Each conversion with what its user did up to it, itself included: it is the last of its moment, and of two conversions
-- of one moment that with the smaller id is the first.
reached as (
    select
        conversions.path_number,
        {% if restarts -%}
            touches.is_conversion and (
                touches.touched_at < conversions.converted_at or touches.touch_id < conversions.touch_id
            ) as is_conversion_before,
            touches.is_touch and touches.counts_until >= conversions.converted_at as counts,
        {% endif -%}
        touches.touch_id,
        touches.channel,
        touches.campaign,
        touches.touchpoint_type,
        touches.is_conversion,
        touches.is_direct,
        touches.touched_at
    from conversions
    inner join touches
        on conversions.user_id = touches.user_id and conversions.conversion_date = touches._for_day
    where
        (
            touches.touched_at < conversions.converted_at
            or (
                touches.touched_at = conversions.converted_at
                and (not touches.is_conversion or touches.touch_id <= conversions.touch_id)
            )
        )
        {%- if not restarts %}
            and touches.is_touch
            and touches.counts_until >= conversions.converted_at
        {%- endif %}
),

-- What many touches are alike in. Its number stands for these texts in the windows, and for their order in ties.
kinds as (
    select
        *,
        row_number() over (order by is_conversion, touch_id, channel, campaign, touchpoint_type) as kind_number,
        dense_rank() over (order by channel) as channel_number
    from (
        select distinct
            touch_id,
            channel,
            campaign,
            touchpoint_type,
            is_conversion,
            is_direct
        from reached
    ) as different_touches
),

numbered as (
    select
        reached.path_number,
        {% if restarts -%}
            reached.is_conversion_before,
            reached.counts,
        {% endif -%}
        kinds.kind_number,
        kinds.channel_number,
        kinds.is_direct,
        reached.touched_at
    from reached
    inner join kinds
        on
            reached.touch_id = kinds.touch_id
            and reached.channel = kinds.channel
            and reached.campaign = kinds.campaign
            and reached.touchpoint_type is not distinct from kinds.touchpoint_type
            and reached.is_conversion = kinds.is_conversion
            and reached.is_direct = kinds.is_direct
),
{%- if restarts %}

placed as (
    select
        *,
        row_number() over (partition by path_number order by touched_at, kind_number) as place
    from numbered
),

since_restart as (
    select
        *,
        max(case when is_conversion_before then place else 0 end) over (partition by path_number) as restarted_at
    from placed
),
{%- endif %}

paths as (
    select * from {{ 'since_restart' if restarts else 'numbered' }}
    {%- if restarts %}
    where counts and place > restarted_at
    {%- endif %}
),

in_order as (
    select
        *,
        row_number() over (partition by path_number order by touched_at, kind_number) as touch_number,
        count(*) over (partition by path_number) as touches,
        max(touched_at) over (partition by path_number) as last_touched_at
    from paths
),

by_channel as (
    select
        *,
        row_number() over (partition by path_number, channel_number order by touch_number desc) as number_from_last_of_channel,
        count(*) over (partition by path_number, channel_number) as touches_of_channel,
        -- Against the newest touch, so that its weight is whole however long before the conversion it was. A whole
        -- number, since a sum of fractions depends on their order.
        cast(round({{ whole }} * power(
            cast(2 as {{ type_ratio() }}),
            cast({{ milliseconds_between('last_touched_at', 'touched_at') }} as {{ type_ratio() }}) / {{ half_life * 24 * 60 * 60 * 1000 }}
        )) as {{ type_count() }}) as weight
    from in_order
),

whole_paths as (
    select
        *,
        sum(weight) over (partition by path_number) as weight_of_path,
        sum(case when number_from_last_of_channel = 1 then 1 else 0 end) over (partition by path_number) as channels,
        max(case when not is_direct then touch_number end) over (partition by path_number) as last_non_direct_number
    from by_channel
),

-- In units of which {{ whole }} are one conversion, rounded down.
rounded_down as (
    select
        *,
        case when touch_number = 1 then {{ whole }} else 0 end as first_touch_units,
        case when touch_number = touches then {{ whole }} else 0 end as last_touch_units,
        case when touch_number = coalesce(last_non_direct_number, touches) then {{ whole }} else 0 end as last_non_direct_units,
        {{ whole_times(whole, 'touches') }} as linear_units,
        case
            when touches <= 2 then {{ whole_times(whole, 'touches') }}
            when touch_number = 1 then {{ first }}
            when touch_number = touches then {{ last }}
            else {{ whole_times(whole - first - last, 'touches - 2') }}
        end as position_based_units,
        {{ whole_times('cast(weight as ' ~ type_count() ~ ') * ' ~ whole, 'cast(weight_of_path as ' ~ type_count() ~ ')') }} as time_decay_units,
        case
            when touches <= 2 then {{ whole_times(whole, 'touches') }}
            -- There is no other touch: the three have the whole, in their proportions.
            when touches = 3 and touch_number = 1 then {{ w_first * whole // w_three }}
            when touches = 3 and touch_number = 2 then {{ w_middle * whole // w_three }}
            when touches = 3 then {{ w_last * whole // w_three }}
            when touch_number = 1 then {{ w_first }}
            when touch_number = touches then {{ w_last }}
            -- Of two in the middle, the earlier one.
            when touch_number = {{ whole_times('touches + 1', 2) }} then {{ w_middle }}
            else {{ whole_times(whole - w_three, 'touches - 3') }}
        end as w_shaped_units,
        {{ whole_times(whole, 'cast(channels as ' ~ type_count() ~ ') * touches_of_channel') }} as shapley_units
    from whole_paths
),

-- The last touch has what the others leave.
credited as (
    select
        path_number,
        kind_number,
        touch_number,
        touches,
        channels,
        number_from_last_of_channel,
        {% for model in attribution_models() -%}
            {% if model in divided -%}
                case
                    when touch_number < touches then {{ model }}_units
                    else {{ whole }} + {{ model }}_units - sum({{ model }}_units) over (partition by path_number)
                end as {{ model }}_units,
            {% else -%}
                {{ model }}_units,
            {% endif -%}
        {% endfor -%}
        touched_at
    from rounded_down
),

final as (
    select
        conversions.conversion_id,
        conversions.user_id,
        kinds.touch_id,

        coalesce(kinds.channel, 'unattributed') as channel,
        coalesce(kinds.campaign, 'none') as campaign,
        kinds.touchpoint_type,

        cast(credited.touch_number as {{ type_count() }}) as touch_number,
        cast(coalesce(credited.touches, 0) as {{ type_count() }}) as touches,
        cast(coalesce(credited.channels, 0) as {{ type_count() }}) as channels,
        {% for model in attribution_models() -%}
            cast(
                cast(coalesce(credited.{{ model }}_units, {{ whole }}) as {{ type_count() }})
                * cast('0.000000001' as {{ type_amount() }}) as {{ type_amount() }}
            ) as {{ model }},
        {% endfor -%}
        cast(case when credited.number_from_last_of_channel = 1 then 1 else 0 end as {{ type_count() }}) as influenced,

        credited.touched_at,
        conversions.converted_at,
        conversions.conversion_date
    from conversions
    left join credited on conversions.path_number = credited.path_number
    left join kinds on credited.kind_number = kinds.kind_number
)

select * from final
