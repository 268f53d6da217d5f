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
        products.product_id,

        reviews.review_score,

        reviews.review_date
    from reviews
    inner join products on reviews.order_id = products.order_id and reviews.review_date = products._for_day
)

select * from final
