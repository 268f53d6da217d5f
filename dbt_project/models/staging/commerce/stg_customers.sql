with source_customers as (
    select * from {{ ref('src_customers') }}
    where {{ in_window('delivered_on') }} and duplicate_rank = 1
),

final as (
    select
        customer_id,
        {{ trimmed('customer_unique_id') }} as customer_unique_id,

        {{ trimmed('customer_zip_code_prefix') }} as customer_zip_code_prefix,
        {{ trimmed('customer_city') }} as customer_city,
        {{ trimmed('customer_state') }} as customer_state,
        record_source,
        region,

        landed_at,
        delivered_on
    from source_customers
)

select * from final
