{{ config(materialized='view') }}

with raw_customers as (
    select * from {{ raw('customers') }}
),

final as (
    select
        customer_id,
        customer_unique_id,

        customer_zip_code_prefix,
        customer_city,
        customer_state,
        'customers' as record_source,
        cast(null as {{ type_text() }}) as region,

        _day as delivered_on,

        {{ duplicate_rank('customers') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_customers
)

select * from final
