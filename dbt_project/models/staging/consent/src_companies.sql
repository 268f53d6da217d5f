{{ config(materialized='view') }}

with raw_companies as (
    select * from {{ raw('companies') }}
),

final as (
    select
        {{ as_written('PUBLIC_API_KEY') }} as company_id,

        {{ as_written('INDUSTRY_BACK') }} as industry_back,
        {{ as_written('INDUSTRY_FRONT') }} as industry_front,
        {{ as_written('HQ_COUNTRY') }} as hq_country,
        'companies' as record_source,
        cast(null as {{ type_text() }}) as region,

        _day as snapshot_date,

        {{ duplicate_rank('companies') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_companies
)

select * from final
