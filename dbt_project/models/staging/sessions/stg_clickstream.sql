{{ config(materialized='view') }}

with source_events as (
    select * from {{ ref('src_clickstream') }}
    where duplicate_rank = 1
),

final as (
    select
        event_id,
        {{ trimmed('customer_id') }} as customer_id,
        client_session_id,

        {{ trimmed('event_type') }} as event_type,
        {{ trimmed('page_type') }} as page_type,
        {{ trimmed('device') }} as device,
        {{ trimmed('browser') }} as browser,
        {{ trimmed('operating_system') }} as operating_system,
        {{ trimmed('app_version') }} as app_version,
        event_details,
        record_source,
        region,

        landed_at > {{ plus_minutes('cast(event_date as timestamp)', '(24 + ' ~ late_after_hours() ~ ') * 60') }} as is_late,

        event_timestamp,
        landed_at,
        event_date
    from source_events
)

select * from final
