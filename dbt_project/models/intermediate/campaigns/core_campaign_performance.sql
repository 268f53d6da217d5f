with campaigns as (
    select * from {{ ref('stg_campaigns') }}
    where {{ in_window('date') }}
),

regions as (
    select * from {{ ref('lookup_regions') }}
),

final as (
    select
        campaigns.campaign_id,

        campaigns.campaign_name,
        campaigns.platform,
        campaigns.country,
        coalesce(regions.region, 'unknown') as region,

        campaigns.impressions,
        campaigns.clicks,
        campaigns.conversions,
        campaigns.cost as total_cost,
        campaigns.revenue as total_revenue,

        campaigns.date
    from campaigns
    left join regions on campaigns.country = regions.country
)

select * from final
