with source_translations as (
    select * from {{ ref('src_product_category_name_translation') }}
    where {{ in_window('delivered_on') }} and duplicate_rank = 1
),

final as (
    select
        lower({{ trimmed('product_category_name') }}) as product_category_name,
        {{ trimmed('product_category_name_english') }} as product_category_name_english,
        record_source,
        region,

        landed_at,
        delivered_on
    from source_translations
)

select * from final
