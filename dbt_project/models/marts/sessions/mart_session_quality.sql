with events as (
    select
        *,
        {{ milliseconds_between(plus_minutes('cast(event_date as timestamp)', 24 * 60), 'landed_at') }}
        / 3600000.0 as hours_after_the_day
    from {{ ref('stg_clickstream_incremental') }}
    where {{ in_window('event_date') }}
),

sessions as (
    select * from {{ ref('mart_sessions') }}
    where {{ in_window('session_date') }}
),

events_by_day as (
    select
        event_date,
        count(*) as events,
        sum(case when customer_id is null then 1 else 0 end) as events_without_customer,
        sum(case when is_late then 1 else 0 end) as late_events,
        {{ median('case when is_late then hours_after_the_day end') }} as median_hours_late,
        max(case when is_late then hours_after_the_day end) as max_hours_late,
        max(event_timestamp) as newest_event_at
    from events
    group by event_date
),

sessions_by_day as (
    select
        session_date,
        count(*) as sessions,
        sum(case when spans_midnight then 1 else 0 end) as sessions_over_midnight,
        sum(case when was_cut then 1 else 0 end) as cut_sessions
    from sessions
    group by session_date
),

final as (
    select
        cast(events_by_day.events as {{ type_count() }}) as events,
        cast(events_by_day.events_without_customer as {{ type_count() }}) as events_without_customer,
        cast(events_by_day.late_events as {{ type_count() }}) as late_events,
        {{ ratio('events_by_day.late_events', 'events_by_day.events') }} as late_share,
        round({{ as_ratio('events_by_day.median_hours_late') }}, 6) as median_hours_late,
        round({{ as_ratio('events_by_day.max_hours_late') }}, 6) as max_hours_late,
        cast(coalesce(sessions_by_day.sessions, 0) as {{ type_count() }}) as sessions,
        cast(coalesce(sessions_by_day.sessions_over_midnight, 0) as {{ type_count() }}) as sessions_over_midnight,
        cast(coalesce(sessions_by_day.cut_sessions, 0) as {{ type_count() }}) as cut_sessions,

        events_by_day.newest_event_at,
        events_by_day.event_date
    from events_by_day
    left join sessions_by_day on events_by_day.event_date = sessions_by_day.session_date
)

select * from final
