{{ config(materialized='view') }}

with raw_campaigns as (
    select * from {{ raw('campaigns') }}
),

final as (
    select
        campaign_id,

        campaign_name,
        platform,
        country,
        currency,
        budget_currency,
        budget_period,
        targeting,
        'campaigns' as record_source,
        cast(null as {{ type_text() }}) as region,

        budget_amount,
        impressions,
        clicks,
        conversions,
        cost,
        revenue,

        last_updated_at,
        pulled_at,
        page as pulled_page,
        _day as date,

        {{ duplicate_rank('campaigns') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_campaigns
)

select * from final
