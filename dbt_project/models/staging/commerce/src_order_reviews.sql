{{ config(materialized='view') }}

with raw_reviews as (
    select * from {{ raw('order_reviews') }}
),

final as (
    select
        review_id,
        order_id,

        review_comment_title,
        review_comment_message,
        'order_reviews' as record_source,
        cast(null as {{ type_text() }}) as region,

        review_score,

        review_creation_date,
        review_answer_timestamp,
        _day as review_date,

        {{ duplicate_rank('order_reviews') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_reviews
)

select * from final
