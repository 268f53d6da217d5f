{{ config(materialized='view') }}

with raw_events as (
    select * from {{ raw('consent_events') }}
),

final as (
    select
        {{ as_written('EVENT_ID') }} as event_id,
        {{ as_written('APIKEY') }} as company_id,
        {{ as_written('DEPLOYMENT_ID') }} as deployment_id,
        {{ as_written('USER_ID') }} as user_id,

        {{ as_written('TYPE') }} as event_type,
        {{ as_written('CONSENT') }} as consent_status,
        {{ as_written('PARAMETERS') }} as parameters,
        {{ as_written('EXPERIMENT') }} as experiment,
        {{ as_written('SDK_TYPE') }} as sdk_type,
        {{ as_written('DOMAIN') }} as domain,
        {{ as_written('COUNTRY') }} as country_codes,
        {{ as_written('REGION') }} as region_codes,
        {{ as_written('BROWSER_FAMILY') }} as browser_family,
        {{ as_written('DEVICE_TYPE') }} as device_type,
        'consent_events' as record_source,
        cast(null as {{ type_text() }}) as region,

        {{ as_written('COUNT') }} as sampled_count,
        {{ as_written('RATE') }} as sampling_rate,

        {{ as_written('EVENT_TIME') }} as event_at,
        {{ as_written('WINDOW_START') }} as window_started_at,
        _day as event_date,

        {{ duplicate_rank('consent_events') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_events
)

select * from final
