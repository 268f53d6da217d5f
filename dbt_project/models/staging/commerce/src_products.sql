{{ config(materialized='view') }}

with raw_products as (
    select * from {{ raw('products') }}
),

final as (
    select
        product_id,

        product_name,
        product_category_name,
        'products' as record_source,
        cast(null as {{ type_text() }}) as region,

        unit_cost,
        product_name_lenght,
        product_description_lenght,
        product_photos_qty,
        product_weight_g,
        product_length_cm,
        product_height_cm,
        product_width_cm,

        _day as snapshot_date,

        {{ duplicate_rank('products') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_products
)

select * from final
