{{ config(materialized='view') }}

with raw_rates as (
    select * from {{ raw('exchange_rates') }}
),

final as (
    select
        currency,
        'exchange_rates' as record_source,
        cast(null as {{ type_text() }}) as region,

        rate,

        _day as rate_date,

        {{ duplicate_rank('exchange_rates') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_rates
)

select * from final
