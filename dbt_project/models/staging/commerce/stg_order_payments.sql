with source_payments as (
    select * from {{ ref('src_order_payments') }}
    where {{ in_window('delivered_on') }} and duplicate_rank = 1
),

final as (
    select
        order_id,
        cast(payment_sequential as {{ type_count() }}) as payment_sequential,

        lower({{ trimmed('payment_type') }}) as payment_type,
        record_source,
        region,

        cast(payment_installments as {{ type_count() }}) as payment_installments,
        cast(payment_value as {{ type_amount() }}) as payment_value,

        landed_at,
        delivered_on
    from source_payments
)

select * from final
