{{ config(materialized='view') }}

with source_events as (
    select * from {{ ref('src_clickstream') }}
    where duplicate_rank = 1
),

final as (
    select
        event_id,
        nullif(trim(customer_id), '') as customer_id,
        client_session_id,

        event_type,
        page_type,
        device,
        browser,
        operating_system,
        app_version,
        event_details,
        record_source,
        region,

        landed_at > {{ plus_minutes('cast(event_date as timestamp)', '(24 + ' ~ var('late_after_hours') ~ ') * 60') }}
            as is_late,

        event_timestamp,
        landed_at,
        event_date
    from source_events
)

select * from final
