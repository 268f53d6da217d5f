{{ config(materialized='view') }}

with raw_tickets as (
    select * from {{ raw('support_tickets') }}
),

final as (
    select
        ticket_id,
        customer_unique_id,
        order_id,

        category,
        priority,
        status,
        'support_tickets' as record_source,
        cast(null as {{ type_text() }}) as region,

        created_at,
        updated_at,
        resolved_at,
        _day as ticket_date,

        {{ duplicate_rank('support_tickets') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_tickets
)

select * from final
