with source_campaigns as (
    select * from {{ ref('src_campaigns') }}
    where {{ in_window('date') }} and duplicate_rank = 1
),

rates as (
    select
        currency,
        cast(rate as {{ type_amount() }}) as rate,
        valid_from,
        lead(valid_from) over (partition by currency order by valid_from) as valid_until
    from {{ ref('lookup_currency_rates') }}
),

named as (
    select
        *,
        upper({{ trimmed('currency') }}) as currency_code
    from source_campaigns
),

final as (
    select
        named.campaign_id,

        {{ trimmed('named.campaign_name') }} as campaign_name,
        lower({{ trimmed('named.platform') }}) as platform,
        upper({{ trimmed('named.country') }}) as country,
        named.currency_code as currency,
        upper({{ trimmed('named.budget_currency') }}) as budget_currency,
        {{ trimmed('named.budget_period') }} as budget_period,
        named.targeting,
        named.record_source,
        named.region,

        cast(named.budget_amount as {{ type_amount() }}) as budget,
        cast(named.impressions as {{ type_count() }}) as impressions,
        cast(named.clicks as {{ type_count() }}) as clicks,
        cast(named.conversions as {{ type_count() }}) as conversions,
        cast(named.cost as {{ type_amount() }}) as cost_original,
        cast(named.revenue as {{ type_amount() }}) as revenue_original,
        cast(named.cost * rates.rate as {{ type_amount() }}) as cost,
        cast(named.revenue * rates.rate as {{ type_amount() }}) as revenue,

        named.last_updated_at,
        named.pulled_at,
        named.landed_at,
        named.date
    from named
    -- A currency without a rate on that day gives no euros, which a check tells of: it is not free of charge.
    left join rates
        on
            named.currency_code = rates.currency
            and named.date >= rates.valid_from
            and (rates.valid_until is null or named.date < rates.valid_until)
)

select * from final
