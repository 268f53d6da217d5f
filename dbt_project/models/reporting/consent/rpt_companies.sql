{{ config(materialized='table_function', parameters={'first_day': 'date', 'last_day': 'date'}) }}

{%- set types = ('pageview', 'consent_asked', 'consent_given', 'ui_action', 'other') -%}
{%- set statuses = ('full_opt_in', 'partial_opt_in', 'opt_out', 'empty_status', 'other_status') %}

with cells as (
    select * from {{ ref('mart_consent_breakdown_daily') }}
    where event_date >= {{ argument('first_day') }} and event_date <= {{ argument('last_day') }}
),

answers_by_day as (
    select * from {{ ref('mart_consent_daily') }}
    where event_date >= {{ argument('first_day') }} and event_date <= {{ argument('last_day') }}
),

volumes as (
    select
        company_id,
        -- As of the newest day of the span on which there is anything of the company.
        max_by(industry_back, event_date) as industry_back,
        max_by(industry_front, event_date) as industry_front,
        max_by(hq_country, event_date) as hq_country,
        {{ volume('total_events') }},
        {{ volume('pageview_events', "event_type = 'pageview'") }},
        {{ volume('consent_asked_events', "event_type = 'consent.asked'") }},
        {{ volume('consent_given_events', "event_type = 'consent.given'") }},
        {{ volume('ui_action_events', "event_type = 'ui.action'") }},
        {{ volume('other_events', "event_type not in ('pageview', 'consent.asked', 'consent.given', 'ui.action')") }},
        {{ volume('full_opt_in_events', "consent_status = 'full opt-in'") }},
        {{ volume('partial_opt_in_events', "consent_status = 'partial opt-in'") }},
        {{ volume('opt_out_events', "consent_status = 'opt-out'") }},
        {{ volume('empty_status_events', "consent_status = 'empty'") }},
        {{ volume('other_status_events', "consent_status not in ('full opt-in', 'partial opt-in', 'opt-out', 'empty')") }},
        count(distinct nullif(country_code, 'unknown')) as countries,
        count(distinct event_date) as days_with_events,
        min(event_date) as first_event_date,
        max(event_date) as last_event_date
    from cells
    group by company_id
),

times as (
    select
        company_id,
        sum(answers) as answers,
        sum(pairs) as pairs,
        sum(pairs_by_user) as pairs_by_user,
        sum(pair_seconds) as pair_seconds,
        sum(records) as records,
        sum(record_seconds) as record_seconds
    from answers_by_day
    group by company_id
),

final as (
    select
        volumes.company_id,

        volumes.industry_back,
        volumes.industry_front,
        volumes.hq_country,

        {{ volume_with_interval('total_events') }},
        {% for name in types + statuses %}
            {{ volume_with_interval(name ~ '_events') }},
            {{ ratio(name ~ '_events', 'total_events') }} as {{ name }}_share,
        {% endfor %}

        cast(volumes.consent_asked_events as {{ type_amount() }}) as asked,
        cast(volumes.consent_given_events as {{ type_amount() }}) as given,
        {{ ratio_with_interval('conversion_rate', 'consent_given_events', 'consent_asked_events') }},

        cast(volumes.countries as {{ type_count() }}) as countries,
        cast(volumes.total_events_rows as {{ type_count() }}) as sampled_rows,

        cast(coalesce(times.answers, 0) as {{ type_count() }}) as answers,
        cast(coalesce(times.pairs, 0) as {{ type_count() }}) as pairs,
        cast(coalesce(times.pairs_by_user, 0) as {{ type_count() }}) as pairs_by_user,
        cast(coalesce(times.pair_seconds, 0) as {{ type_amount() }}) as pair_seconds,
        {{ ratio('times.pair_seconds', 'times.pairs') }} as avg_seconds_asked_to_given,
        {{ ratio('times.pairs', 'times.answers') }} as pair_coverage,
        cast(coalesce(times.records, 0) as {{ type_count() }}) as records,
        cast(coalesce(times.record_seconds, 0) as {{ type_amount() }}) as record_seconds,
        {{ ratio('times.record_seconds', 'times.records') }} as avg_seconds_created_to_updated,
        {{ ratio('times.records', 'times.answers') }} as record_coverage,

        coalesce(
            volumes.consent_given_events > volumes.consent_asked_events and volumes.consent_asked_events > 0, false
        ) as is_conversion_above_one,

        cast(volumes.days_with_events as {{ type_count() }}) as days_with_events,
        volumes.first_event_date,
        volumes.last_event_date
    from volumes
    left join times on coalesce(volumes.company_id, '') = coalesce(times.company_id, '')
)

select * from final
