with source_events as (
    select * from {{ ref('src_consent_events') }}
    where {{ in_window('event_date') }} and duplicate_rank = 1
),

rated as (
    select
        *,
        -- Rates are written as 32-bit floats (0.1000000015): six digits are what was meant.
        round(sampling_rate, 6) as rounded_rate
    from source_events
),

sampled as (
    select
        *,
        case when rounded_rate > 0 and rounded_rate <= 1 then rounded_rate end as rate,
        {{ '1' if var('count_is_extrapolated') else 'sampled_count' }} as events_in_sample
    from rated
),

final as (
    select
        event_id,
        {{ trimmed('company_id') }} as company_id,
        deployment_id,
        {{ trimmed('user_id') }} as user_id,

        event_type,
        consent_status,
        parameters,
        experiment,
        sdk_type,
        domain,
        {{ codes('country_codes') }} as country_codes,
        {{ codes('region_codes') }} as region_codes,
        browser_family,
        device_type,
        record_source,
        region,

        sampled_count,
        rate as sampling_rate,
        -- Without a rate that can be one, nothing is known of the events that were left out: the count stands alone.
        cast(
            sampled_count / {{ '1' if var('count_is_extrapolated') else 'coalesce(rate, 1)' }} as {{ type_amount() }}
        ) as event_volume,
        -- Horvitz-Thompson: each event is in the sample by itself, with the probability `rate`.
        cast(events_in_sample * (1 - coalesce(rate, 1)) / power(coalesce(rate, 1), 2) as {{ type_amount() }})
            as event_variance,

        rate is not null as has_valid_rate,

        {{ utc_timestamp(json_text('parameters', 'created')) }} as consent_created_at,
        {{ utc_timestamp(json_text('parameters', 'updated')) }} as consent_updated_at,
        event_at,
        window_started_at,
        landed_at,
        event_date
    from sampled
)

select * from final
