{%- set numbers = {} -%}
{%- for model in attribution_models() -%}
    {%- do numbers.update({model: type_amount(), model ~ '_revenue': type_amount()}) -%}
{%- endfor -%}
{%- do numbers.update({'spend': type_amount(), 'touchpoints': type_count(), 'influenced': type_count()}) -%}
{%- set of_conversions, of_revenue = {'influenced': 'influenced'}, {} -%}
{%- for model in attribution_models() -%}
    {%- do of_conversions.update({model: model}) -%}
    {%- do of_revenue.update({model ~ '_revenue': model ~ '_revenue'}) -%}
{%- endfor -%}

with spend as (
    select * from {{ ref('stg_marketing_spend') }}
    where {{ in_window('spend_date') }}
),

aliases as (
    select * from {{ ref('lookup_campaign_aliases') }}
),

-- The rows of all below each other, so that none counts another's rows twice, and spend that nobody answers stays.
parts as (
    select
        spend.channel,
        coalesce(aliases.campaign, spend.campaign) as campaign,
        spend.spend_date as event_date,
        false as is_of_models,
        {{ numbers_or_zero(numbers, {'spend': 'spend.spend'}) }}
    from spend
    left join aliases on spend.channel = aliases.channel and spend.campaign = aliases.alias

    union all

    select
        channel,
        campaign,
        touch_date as event_date,
        false as is_of_models,
        {{ numbers_or_zero(numbers, {'touchpoints': 1}) }}
    from {{ ref('int_path_touches') }}
    where {{ in_window('touch_date') }}

    union all

    select
        channel,
        campaign,
        conversion_date as event_date,
        true as is_of_models,
        {{ numbers_or_zero(numbers, of_conversions) }}
    from {{ ref('attribution_credit') }}
    where {{ in_window('conversion_date') }}

    union all

    select
        channel,
        campaign,
        revenue_date as event_date,
        true as is_of_models,
        {{ numbers_or_zero(numbers, of_revenue) }}
    from {{ ref('int_revenue_credited') }}
    where {{ in_window('revenue_date') }}
),

summed as (
    select
        channel,
        campaign,
        event_date,
        max(case when is_of_models then 1 else 0 end) as is_of_models,
        max(case when is_of_models and influenced = 0 then 0 else 1 end) as is_of_none,
        {{ sums_of(numbers) }}
    from parts
    group by channel, campaign, event_date
),

models as (
    {% for model in attribution_models() -%}
        select '{{ model }}' as model
        union all
    {% endfor -%}
    select cast(null as {{ type_text() }}) as model
),

final as (
    select
        summed.channel,
        summed.campaign,
        models.model,

        cast(case models.model
            {% for model in attribution_models() -%}
                when '{{ model }}' then summed.{{ model }}
            {% endfor -%}
            else 0
        end as {{ type_amount() }}) as credited_conversions,
        cast(case models.model
            {% for model in attribution_models() -%}
                when '{{ model }}' then summed.{{ model }}_revenue
            {% endfor -%}
            else 0
        end as {{ type_amount() }}) as credited_revenue,
        cast(case when models.model is null then summed.influenced else 0 end as {{ type_count() }}) as influenced_conversions,
        cast(case when models.model is null then summed.touchpoints else 0 end as {{ type_count() }}) as touchpoints,
        cast(case when models.model is null then summed.spend else 0 end as {{ type_amount() }}) as spend,

        summed.event_date
    from summed
    inner join models
        on (models.model is null and summed.is_of_none = 1) or (models.model is not null and summed.is_of_models = 1)
)

select * from final
