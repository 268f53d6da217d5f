with payments as (
    select * from {{ ref('int_revenue') }}
    where {{ in_window('revenue_date') }}
),

credits as (
    select * from {{ by_key('attribution_credit') }} as credits_of_users
),

paid as (
    select
        user_id,
        revenue_date,
        sum(revenue) as revenue
    from payments
    group by user_id, revenue_date
),

newest as (
    select * from (
        select
            *,
            rank() over (partition by _for_day, user_id order by converted_at desc, conversion_id desc) as conversion_rank
        from credits
    ) as ranked_credits
    where conversion_rank = 1
),

shares as (
    select
        paid.user_id,
        paid.revenue_date,
        paid.revenue,
        newest.conversion_id,
        newest.channel,
        newest.campaign,
        newest.touchpoint_type,
        newest.touch_number,
        -- What no touch led to is one row.
        coalesce(newest.touch_number = newest.touches, true) as is_last,
        {% for model in attribution_models() -%}
            cast(coalesce(newest.{{ model }}, 1) * paid.revenue as {{ type_amount() }}) as {{ model }}_share,
        {% endfor -%}
        newest.converted_at
    from paid
    left join newest on paid.user_id = newest.user_id and paid.revenue_date = newest._for_day
),

final as (
    select
        user_id,
        conversion_id,

        coalesce(channel, 'unattributed') as channel,
        coalesce(campaign, 'none') as campaign,
        touchpoint_type,

        touch_number,
        {% for model in attribution_models() -%}
            -- The last touch has what the others leave, so that nothing is lost where a product has more than nine digits.
            cast(
                case
                    when is_last
                        then revenue + {{ model }}_share - sum({{ model }}_share) over (partition by user_id, revenue_date)
                    else {{ model }}_share
                end as {{ type_amount() }}
            ) as {{ model }}_revenue,
        {% endfor -%}

        converted_at,
        revenue_date
    from shares
)

select * from final
