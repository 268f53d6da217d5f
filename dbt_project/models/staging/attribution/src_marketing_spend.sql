{{ config(materialized='view') }}

with raw_spend as (
    select * from {{ raw('marketing_spend') }}
),

final as (
    select
        channel,
        campaign,
        'marketing_spend' as record_source,
        cast(null as {{ type_text() }}) as region,

        spend,
        impressions,
        clicks,
        installs,

        _day as spend_date,

        {{ duplicate_rank('marketing_spend') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_spend
)

select * from final
