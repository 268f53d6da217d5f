{{ config(materialized='view') }}

with raw_translations as (
    select * from {{ raw('product_category_name_translation') }}
),

final as (
    select
        product_category_name,
        product_category_name_english,
        'product_category_name_translation' as record_source,
        cast(null as {{ type_text() }}) as region,

        _day as delivered_on,

        {{ duplicate_rank('product_category_name_translation') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_translations
)

select * from final
