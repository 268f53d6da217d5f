{{ config(materialized='view') }}

with raw_events as (
    select * from {{ raw('clickstream') }}
),

final as (
    select
        event_id,
        customer_id,
        session_id as client_session_id,

        event_type,
        page_type,
        device,
        browser,
        operating_system,
        app_version,
        event_details,
        'clickstream' as record_source,
        cast(null as {{ type_text() }}) as region,

        event_timestamp,
        _day as event_date,

        {{ duplicate_rank('clickstream') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_events
)

select * from final
