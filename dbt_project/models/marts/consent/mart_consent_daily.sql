with cells as (
    select * from {{ ref('mart_consent_breakdown_daily') }}
    where {{ in_window('event_date') }}
),

answers as (
    select * from {{ ref('int_consent_answers') }}
    where {{ in_window('event_date') }}
),

volumes as (
    select
        company_id,
        event_date,
        industry_back,
        industry_front,
        hq_country,
        {{ volume('asked', "event_type = 'consent.asked'") }},
        {{ volume('given', "event_type = 'consent.given'") }},
        {{ volume('total_events') }},
        {{ volume('full_opt_in_events', "consent_status = 'full opt-in'") }},
        {{ volume('partial_opt_in_events', "consent_status = 'partial opt-in'") }},
        {{ volume('opt_out_events', "consent_status = 'opt-out'") }},
        {{ volume('empty_status_events', "consent_status = 'empty'") }},
        {{ volume('other_status_events', "consent_status not in ('full opt-in', 'partial opt-in', 'opt-out', 'empty')") }}
    from cells
    group by company_id, event_date, industry_back, industry_front, hq_country
),

times as (
    select
        company_id,
        event_date,
        count(*) as answers,
        count(seconds_asked_to_given) as pairs,
        sum(seconds_asked_to_given) as pair_seconds,
        {{ median('seconds_asked_to_given') }} as median_seconds_asked_to_given,
        sum(case when is_by_user and seconds_asked_to_given is not null then 1 else 0 end) as pairs_by_user,
        count(seconds_created_to_updated) as records,
        sum(seconds_created_to_updated) as record_seconds,
        {{ median('seconds_created_to_updated') }} as median_seconds_created_to_updated
    from answers
    group by company_id, event_date
),

final as (
    select
        volumes.company_id,

        volumes.industry_back,
        volumes.industry_front,
        volumes.hq_country,

        {{ volume_with_interval('asked') }},
        {{ volume_with_interval('given') }},
        {{ ratio_with_interval('conversion_rate', 'given', 'asked') }},

        {% for status in ('full_opt_in', 'partial_opt_in', 'opt_out', 'empty_status', 'other_status') %}
            {{ volume_with_interval(status ~ '_events') }},
            {{ ratio(status ~ '_events', 'total_events') }} as {{ status }}_share,
        {% endfor %}

        cast(coalesce(times.answers, 0) as {{ type_count() }}) as answers,
        cast(coalesce(times.pairs, 0) as {{ type_count() }}) as pairs,
        cast(coalesce(times.pairs_by_user, 0) as {{ type_count() }}) as pairs_by_user,
        cast(coalesce(times.pair_seconds, 0) as {{ type_amount() }}) as pair_seconds,
        {{ ratio('times.pair_seconds', 'times.pairs') }} as avg_seconds_asked_to_given,
        round({{ as_ratio('times.median_seconds_asked_to_given') }}, 6) as median_seconds_asked_to_given,
        {{ ratio('times.pairs', 'times.answers') }} as pair_coverage,
        cast(coalesce(times.records, 0) as {{ type_count() }}) as records,
        cast(coalesce(times.record_seconds, 0) as {{ type_amount() }}) as record_seconds,
        {{ ratio('times.record_seconds', 'times.records') }} as avg_seconds_created_to_updated,
        round({{ as_ratio('times.median_seconds_created_to_updated') }}, 6) as median_seconds_created_to_updated,
        {{ ratio('times.records', 'times.answers') }} as record_coverage,

        coalesce(volumes.given > volumes.asked and volumes.asked > 0, false) as is_conversion_above_one,

        volumes.event_date
    from volumes
    left join times
        on
            volumes.event_date = times.event_date
            and coalesce(volumes.company_id, '') = coalesce(times.company_id, '')
)

select * from final
