with source_companies as (
    select * from {{ ref('src_companies') }}
    where {{ in_window('snapshot_date') }} and duplicate_rank = 1
),

final as (
    select
        company_id,

        coalesce(industry_back, 'unknown') as industry_back,
        coalesce(industry_front, 'unknown') as industry_front,
        coalesce(hq_country, 'unknown') as hq_country,
        record_source,
        region,

        landed_at,
        snapshot_date
    from source_companies
)

select * from final
