with source_rates as (
    select * from {{ ref('src_exchange_rates') }}
    where {{ in_window('rate_date') }} and duplicate_rank = 1
),

final as (
    select
        upper({{ trimmed('currency') }}) as currency,
        record_source,
        region,

        cast(rate as {{ type_amount() }}) as rate,

        landed_at,
        rate_date
    from source_rates
)

select * from final
