{{ config(materialized='view') }}

with raw_events as (
    select * from {{ raw('consent_events') }}
),

final as (
    select
        EVENT_ID as event_id,
        APIKEY as company_id,
        DEPLOYMENT_ID as deployment_id,
        USER_ID as user_id,

        TYPE as event_type,
        CONSENT as consent_status,
        PARAMETERS as parameters,
        EXPERIMENT as experiment,
        SDK_TYPE as sdk_type,
        DOMAIN as domain,
        COUNTRY as country_codes,
        REGION as region_codes,
        BROWSER_FAMILY as browser_family,
        DEVICE_TYPE as device_type,
        'consent_events' as record_source,
        cast(null as {{ type_text() }}) as region,

        COUNT as sampled_count,
        RATE as sampling_rate,

        EVENT_TIME as event_at,
        WINDOW_START as window_started_at,
        _day as event_date,

        {{ duplicate_rank('consent_events') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_events
)

select * from final
