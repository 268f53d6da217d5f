with source_events as (
    select * from {{ ref('src_consent_events') }}
    where {{ in_window('event_date') }} and duplicate_rank = 1
),

rated as (
    select
        *,
        -- Rates are written as 32-bit floats (0.1000000015): six digits are what was meant.
        round(sampling_rate, 6) as rate
    from source_events
),

final as (
    select
        event_id,
        company_id,
        deployment_id,

        event_type,
        consent_status,
        parameters,
        experiment,
        sdk_type,
        domain,
        nullif(replace(country_codes, '"', ''), '') as country_codes,
        nullif(replace(region_codes, '"', ''), '') as region_codes,
        browser_family,
        device_type,
        record_source,
        region,

        sampled_count,
        case when rate > 0 and rate <= 1 then rate end as sampling_rate,
        -- Without a rate that can be one, nothing is known of the events that were left out: the count stands alone.
        cast(
            sampled_count / case when rate > 0 and rate <= 1 then rate else 1 end as {{ type_amount() }}
        ) as event_volume,

        coalesce(rate > 0 and rate <= 1, false) as has_valid_rate,

        event_at,
        window_started_at,
        landed_at,
        event_date
    from rated
)

select * from final
