with source_spend as (
    select * from {{ ref('src_marketing_spend') }}
    where {{ in_window('spend_date') }} and duplicate_rank = 1
),

final as (
    select
        {{ channel_name('channel') }} as channel,
        {{ campaign_name('campaign') }} as campaign,
        record_source,
        region,

        cast(spend as {{ type_amount() }}) as spend,
        cast(impressions as {{ type_count() }}) as impressions,
        cast(clicks as {{ type_count() }}) as clicks,
        cast(installs as {{ type_count() }}) as installs,

        landed_at,
        spend_date
    from source_spend
)

select * from final
