with performance as (
    select * from {{ ref('core_campaign_performance') }}
    where {{ in_window('date') }}
),

summed as (
    select
        region,
        platform,
        date,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(conversions) as conversions,
        sum(total_cost) as cost,
        sum(total_revenue) as revenue
    from performance
    group by region, platform, date
),

final as (
    select
        region,
        platform,

        cast(impressions as {{ type_count() }}) as daily_impressions,
        cast(clicks as {{ type_count() }}) as daily_clicks,
        cast(conversions as {{ type_count() }}) as daily_conversions,
        cast(cost as {{ type_amount() }}) as daily_cost,
        cast(revenue as {{ type_amount() }}) as daily_revenue,
        {{ ratio('clicks', 'impressions') }} as ctr,
        {{ ratio('cost', 'clicks') }} as cpc,
        {{ ratio('revenue', 'cost') }} as roas,

        date
    from summed
)

select * from final
