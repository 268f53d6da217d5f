with products as (
    select * from {{ ref('stg_products') }}
    where {{ in_window('snapshot_date') }}
),

-- One word for each category, however it is spelled in the files: two would make two of each product.
translations as (
    select
        _for_day,
        product_category_name,
        max(product_category_name_english) as product_category_name_english
    from
        {{ newest_delivery(
            by_key('stg_product_category_name_translation'), ['_for_day', 'product_category_name'], 'delivered_on'
        ) }} as newest
    group by _for_day, product_category_name
),

final as (
    select
        products.product_id,

        coalesce(products.product_name, products.product_id) as product_name,
        coalesce(
            translations.product_category_name_english, products.product_category_name, 'unknown'
        ) as category,

        products.unit_cost,

        products.snapshot_date
    from products
    left join translations
        on
            products.snapshot_date = translations._for_day
            and products.product_category_name = translations.product_category_name
)

select * from final
