with source_tickets as (
    select * from {{ ref('src_support_tickets') }}
    where {{ in_window('ticket_date') }} and duplicate_rank = 1
),

final as (
    select
        ticket_id,
        {{ trimmed('customer_unique_id') }} as customer_unique_id,
        {{ trimmed('order_id') }} as order_id,

        lower({{ trimmed('category') }}) as category,
        lower({{ trimmed('priority') }}) as priority,
        lower({{ trimmed('status') }}) as status,
        record_source,
        region,

        created_at,
        updated_at,
        resolved_at,
        landed_at,
        ticket_date
    from source_tickets
)

select * from final
