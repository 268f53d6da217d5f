with source_products as (
    select * from {{ ref('src_products') }}
    where {{ in_window('snapshot_date') }} and duplicate_rank = 1
),

final as (
    select
        product_id,

        {{ trimmed('product_name') }} as product_name,
        lower({{ trimmed('product_category_name') }}) as product_category_name,
        record_source,
        region,

        cast(unit_cost as {{ type_amount() }}) as unit_cost,
        cast(product_name_lenght as {{ type_count() }}) as product_name_lenght,
        cast(product_description_lenght as {{ type_count() }}) as product_description_lenght,
        cast(product_photos_qty as {{ type_count() }}) as product_photos_qty,
        cast(product_weight_g as {{ type_count() }}) as product_weight_g,
        cast(product_length_cm as {{ type_count() }}) as product_length_cm,
        cast(product_height_cm as {{ type_count() }}) as product_height_cm,
        cast(product_width_cm as {{ type_count() }}) as product_width_cm,

        landed_at,
        snapshot_date
    from source_products
)

select * from final
