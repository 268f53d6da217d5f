with source_sellers as (
    select * from {{ ref('src_sellers') }}
    where {{ in_window('delivered_on') }} and duplicate_rank = 1
),

final as (
    select
        seller_id,

        {{ trimmed('seller_zip_code_prefix') }} as seller_zip_code_prefix,
        {{ trimmed('seller_city') }} as seller_city,
        {{ trimmed('seller_state') }} as seller_state,
        record_source,
        region,

        landed_at,
        delivered_on
    from source_sellers
)

select * from final
