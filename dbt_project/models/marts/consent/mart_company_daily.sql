with cells as (
    select * from {{ ref('mart_consent_breakdown_daily') }}
    where {{ in_window('event_date') }}
),

volumes as (
    select
        company_id,
        event_date,
        industry_back,
        industry_front,
        hq_country,
        {{ volume('total_events') }},
        {{ volume('pageview_events', "event_type = 'pageview'") }},
        {{ volume('consent_asked_events', "event_type = 'consent.asked'") }},
        {{ volume('consent_given_events', "event_type = 'consent.given'") }},
        {{ volume('ui_action_events', "event_type = 'ui.action'") }},
        {{ volume('other_events', "event_type not in ('pageview', 'consent.asked', 'consent.given', 'ui.action')") }},
        count(distinct nullif(country_code, 'unknown')) as countries
    from cells
    group by company_id, event_date, industry_back, industry_front, hq_country
),

final as (
    select
        company_id,

        industry_back,
        industry_front,
        hq_country,

        {{ volume_with_interval('total_events') }},
        {{ volume_with_interval('pageview_events') }},
        {{ volume_with_interval('consent_asked_events') }},
        {{ volume_with_interval('consent_given_events') }},
        {{ volume_with_interval('ui_action_events') }},
        {{ volume_with_interval('other_events') }},
        cast(countries as {{ type_count() }}) as countries,
        cast(total_events_rows as {{ type_count() }}) as sampled_rows,

        event_date
    from volumes
)

select * from final
