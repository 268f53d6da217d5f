with sessions as (
    select * from {{ ref('mart_sessions') }}
    where {{ in_window('session_date') }}
),

final as (
    select
        device,
        landing_page,
        utm_source,
        utm_medium,
        utm_campaign,

        cast(count(*) as {{ type_count() }}) as sessions,
        cast(sum(case when is_bounce then 1 else 0 end) as {{ type_count() }}) as bounces,
        cast(sum(case when purchases > 0 then 1 else 0 end) as {{ type_count() }}) as sessions_with_purchase,
        -- Each a part of the one before, whatever the order of the events: a share of one in another is at most 1.
        cast(sum(case when product_views > 0 then 1 else 0 end) as {{ type_count() }}) as funnel_views,
        cast(sum(case when product_views > 0 and cart_adds > 0 then 1 else 0 end) as {{ type_count() }}) as funnel_carts,
        cast(
            sum(case when product_views > 0 and cart_adds > 0 and purchases > 0 then 1 else 0 end)
            as {{ type_count() }}
        ) as funnel_purchases,
        cast(sum(case when spans_midnight then 1 else 0 end) as {{ type_count() }}) as sessions_over_midnight,
        cast(sum(case when has_late_events then 1 else 0 end) as {{ type_count() }}) as sessions_with_late_events,
        cast(sum(events) as {{ type_count() }}) as events,
        cast(sum(page_views) as {{ type_count() }}) as page_views,
        cast(sum(purchases) as {{ type_count() }}) as purchases,
        cast(sum(duration_seconds) as {{ type_amount() }}) as duration_seconds,

        was_cut,

        session_date
    from sessions
    group by device, landing_page, utm_source, utm_medium, utm_campaign, was_cut, session_date
)

select * from final
