with events as (
    select * from {{ ref('stg_consent_events') }}
    where {{ in_window('event_date') }}
),

companies as (
    select * from {{ ref('stg_companies') }}
    where {{ in_window('snapshot_date') }}
),

events_by_company as (
    select
        company_id,
        event_date,
        sum(event_volume) as total_events
    from events
    group by company_id, event_date
),

final as (
    select
        events_by_company.company_id,

        coalesce(companies.industry_back, 'unknown') as industry_back,
        coalesce(companies.industry_front, 'unknown') as industry_front,
        coalesce(companies.hq_country, 'unknown') as hq_country,

        cast(events_by_company.total_events as {{ type_amount() }}) as total_events,

        events_by_company.event_date
    from events_by_company
    left join companies
        on
            events_by_company.company_id = companies.company_id
            and events_by_company.event_date = companies.snapshot_date
)

select * from final
