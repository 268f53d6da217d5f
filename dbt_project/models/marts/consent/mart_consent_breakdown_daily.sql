with events as (
    select * from {{ ref('stg_consent_events') }}
    where {{ in_window('event_date') }}
),

companies as (
    select * from {{ ref('stg_companies') }}
    where {{ in_window('snapshot_date') }}
),

by_country as (
    select
        events.company_id,
        events.event_date,
        coalesce(events.event_type, 'unknown') as event_type,
        coalesce(events.consent_status, 'unknown') as consent_status,
        -- `code` is a column of the join below, of which the macro alone knows the name.
        coalesce(code, 'unknown') as country_code,  -- noqa: RF02,RF03
        -- An event of several countries is counted in the first of them and only mentioned in the others.
        {{ is_first_code() }} as is_counted,
        events.event_volume,
        events.event_variance
    from events
    {{ left_join_codes('events.country_codes') }}
),

cells as (
    select
        company_id,
        event_date,
        country_code,
        event_type,
        consent_status,
        sum(case when is_counted then event_volume else 0 end) as events,
        sum(case when is_counted then event_variance else 0 end) as events_variance,
        sum(case when is_counted then 1 else 0 end) as sampled_rows
    from by_country
    group by company_id, event_date, country_code, event_type, consent_status
),

final as (
    select
        cells.company_id,

        cells.country_code,
        cells.event_type,
        cells.consent_status,
        coalesce(companies.industry_back, 'unknown') as industry_back,
        coalesce(companies.industry_front, 'unknown') as industry_front,
        coalesce(companies.hq_country, 'unknown') as hq_country,

        cast(cells.events as {{ type_amount() }}) as events,
        cast(cells.events_variance as {{ type_amount() }}) as events_variance,
        cast(cells.sampled_rows as {{ type_count() }}) as sampled_rows,

        cells.event_date
    from cells
    left join companies
        on cells.company_id = companies.company_id and cells.event_date = companies.snapshot_date
)

select * from final
