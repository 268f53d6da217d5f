{{ config(materialized='view') }}

with raw_payments as (
    select * from {{ raw('order_payments') }}
),

final as (
    select
        order_id,
        payment_sequential,

        payment_type,
        'order_payments' as record_source,
        cast(null as {{ type_text() }}) as region,

        payment_installments,
        payment_value,

        _day as delivered_on,

        {{ duplicate_rank('order_payments') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_payments
)

select * from final
