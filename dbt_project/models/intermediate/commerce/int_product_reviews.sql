with reviews as (
    select * from {{ ref('stg_order_reviews') }}
    where {{ in_window('review_date') }}
),

-- A product once, however many lines of the order have it: a review is of the order, and each of its products got it.
products as (
    select distinct
        _for_day,
        order_id,
        product_id
    from {{ newest_delivery(by_key('stg_order_items'), ['_for_day', 'order_id'], 'delivered_on') }} as newest
),

final as (
    select
        reviews.review_id,
        reviews.order_id,
        coalesce(products.product_id, 'unknown') as product_id,

        reviews.review_score,
        cast(
            case
                when row_number() over (
                    partition by reviews.review_date, reviews.review_id, reviews.order_id order by products.product_id
                ) = 1 then 1
                else 0
            end as {{ type_count() }}
        ) as reviews_of_orders,

        reviews.review_date
    from reviews
    left join products on reviews.order_id = products.order_id and reviews.review_date = products._for_day
)

select * from final
