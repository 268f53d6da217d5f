{{ config(materialized='view') }}

with sessions as (
    select * from {{ ref('mart_sessions') }}
),

newest as (
    -- Of all events, those without a customer among them.
    select max(newest_event_at) as newest_event_at from {{ ref('mart_session_quality') }}
),

final as (
    select
        sessions.session_id,
        sessions.customer_id,

        sessions.landing_page,
        sessions.exit_page,
        sessions.device,
        sessions.utm_source,
        sessions.utm_medium,
        sessions.utm_campaign,

        sessions.events,
        sessions.page_views,
        sessions.product_views,
        sessions.cart_adds,
        sessions.purchases,
        sessions.duration_seconds,

        sessions.is_bounce,
        sessions.spans_midnight,
        sessions.has_late_events,
        sessions.was_cut,
        -- The customer may still come back in time; where the day is covered, before it ends.
        {{ plus_seconds('sessions.ended_at', session_gap_seconds()) }} >= newest.newest_event_at
        and not (sessions.was_cut and cast(newest.newest_event_at as date) > cast(sessions.ended_at as date)) as is_open,

        sessions.started_at,
        sessions.ended_at,
        sessions.session_date
    from sessions
    cross join newest
)

select * from final
