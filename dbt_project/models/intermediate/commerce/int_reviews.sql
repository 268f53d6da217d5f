with reviews as (
    select * from {{ ref('stg_order_reviews') }}
    where {{ in_window('review_date') }}
),

-- An order that was told on two days belongs to the person of the later one.
orders as (
    select
        _for_day,
        order_id,
        {{ value_at_last('customer_unique_id', 'purchase_date') }} as customer_unique_id,
        max(purchase_date) as purchase_date
    from {{ by_key('int_orders') }} as orders_of_reviews
    group by _for_day, order_id
),

final as (
    select
        reviews.review_id,
        reviews.order_id,
        orders.customer_unique_id,

        reviews.review_score,

        reviews.review_creation_date,
        reviews.review_answer_timestamp,
        orders.purchase_date,
        reviews.review_date
    from reviews
    left join orders on reviews.order_id = orders.order_id and reviews.review_date = orders._for_day
)

select * from final
