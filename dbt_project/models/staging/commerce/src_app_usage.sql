{{ config(materialized='view') }}

with raw_uses as (
    select * from {{ raw('app_usage') }}
),

final as (
    select
        usage_id,
        customer_unique_id,

        feature,
        'app_usage' as record_source,
        cast(null as {{ type_text() }}) as region,

        started_at,
        ended_at,
        _day as usage_date,

        {{ duplicate_rank('app_usage') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_uses
)

select * from final
