with answers as (
    select * from {{ ref('int_consent_answers') }}
    where {{ in_window('event_date') }}
),

companies as (
    select * from {{ ref('stg_companies') }}
    where {{ in_window('snapshot_date') }}
),

cells as (
    select
        company_id,
        event_date,
        country_code,
        count(*) as answers,
        count(seconds_asked_to_given) as pairs,
        sum(case when is_by_user and seconds_asked_to_given is not null then 1 else 0 end) as pairs_by_user,
        coalesce(sum(seconds_asked_to_given), 0) as pair_seconds,
        count(seconds_created_to_updated) as records,
        coalesce(sum(seconds_created_to_updated), 0) as record_seconds
    from answers
    group by company_id, event_date, country_code
),

final as (
    select
        cells.company_id,

        cells.country_code,
        coalesce(companies.industry_back, 'unknown') as industry_back,
        coalesce(companies.industry_front, 'unknown') as industry_front,
        coalesce(companies.hq_country, 'unknown') as hq_country,

        cast(cells.answers as {{ type_count() }}) as answers,
        cast(cells.pairs as {{ type_count() }}) as pairs,
        cast(cells.pairs_by_user as {{ type_count() }}) as pairs_by_user,
        cast(cells.pair_seconds as {{ type_amount() }}) as pair_seconds,
        cast(cells.records as {{ type_count() }}) as records,
        cast(cells.record_seconds as {{ type_amount() }}) as record_seconds,

        cells.event_date
    from cells
    left join companies
        on cells.company_id = companies.company_id and cells.event_date = companies.snapshot_date
)

select * from final
