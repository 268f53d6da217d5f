with events as (
    -- The day after, too: a session may end there, and no later, since a covered day ends it.
    select
        *,
        {{ trimmed(json_text('event_details', 'utm_source')) }} as utm_source,
        {{ trimmed(json_text('event_details', 'utm_medium')) }} as utm_medium,
        {{ trimmed(json_text('event_details', 'utm_campaign')) }} as utm_campaign
    from {{ ref('int_events_sessionized') }}
    where {{ in_window('event_date', of='int_events_sessionized') }} and {{ in_window('session_date') }}
),

touched as (
    select
        *,
        case when coalesce(utm_source, utm_medium, utm_campaign) is not null then event_number end as touch_number
    from events
),

sessions as (
    select
        session_id,
        session_date,
        customer_id,
        {{ value_at_first('page_type', 'event_number') }} as landing_page,
        {{ value_at_last('page_type', 'event_number') }} as exit_page,
        {{ value_at_first('device', 'event_number') }} as device,
        -- All three of one event, so that no campaign is made of two.
        {{ value_at_first('utm_source', 'touch_number') }} as utm_source,
        {{ value_at_first('utm_medium', 'touch_number') }} as utm_medium,
        {{ value_at_first('utm_campaign', 'touch_number') }} as utm_campaign,
        count(*) as events,
        sum(case when event_type = 'page_view' then 1 else 0 end) as page_views,
        sum(case when event_type = 'product_view' then 1 else 0 end) as product_views,
        sum(case when event_type = 'add_to_cart' then 1 else 0 end) as cart_adds,
        sum(case when event_type = 'purchase' then 1 else 0 end) as purchases,
        sum(case when event_type in ('page_view', 'product_view') then 1 else 0 end) as views,
        max(case when is_late then 1 else 0 end) as late,
        max(case when is_day_covered then 1 else 0 end) as cut,
        min(event_timestamp) as started_at,
        max(event_timestamp) as ended_at
    from touched
    group by session_id, session_date, customer_id
),

final as (
    select
        session_id,
        customer_id,

        landing_page,
        exit_page,
        device,
        utm_source,
        utm_medium,
        utm_campaign,

        cast(events as {{ type_count() }}) as events,
        cast(page_views as {{ type_count() }}) as page_views,
        cast(product_views as {{ type_count() }}) as product_views,
        cast(cart_adds as {{ type_count() }}) as cart_adds,
        cast(purchases as {{ type_count() }}) as purchases,
        cast({{ milliseconds_between('started_at', 'ended_at') }} / 1000 as {{ type_amount() }}) as duration_seconds,

        events = 1 and views = 1 as is_bounce,
        cast(ended_at as date) > session_date as spans_midnight,
        late = 1 as has_late_events,
        cut = 1 as was_cut,

        started_at,
        ended_at,
        session_date
    from sessions
)

select * from final
