with source_reviews as (
    select * from {{ ref('src_order_reviews') }}
    where {{ in_window('review_date') }} and duplicate_rank = 1
),

final as (
    select
        review_id,
        order_id,

        {{ trimmed('review_comment_title') }} as review_comment_title,
        {{ trimmed('review_comment_message') }} as review_comment_message,
        record_source,
        region,

        cast(review_score as {{ type_count() }}) as review_score,

        review_creation_date,
        review_answer_timestamp,
        landed_at,
        review_date
    from source_reviews
)

select * from final
