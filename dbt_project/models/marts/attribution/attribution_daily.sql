{%- set no_credit -%}
    {%- for model in attribution_models() %}
        cast(0 as {{ type_amount() }}) as {{ model }},
        cast(0 as {{ type_amount() }}) as {{ model }}_revenue,
    {%- endfor %}
{%- endset -%}

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
        {{ no_credit | trim }}
        false as is_of_models,
        spend.spend,
        0 as touchpoints,
        0 as influenced
    from spend
    left join aliases on spend.channel = aliases.channel and spend.campaign = aliases.alias

    union all

    select
        channel,
        campaign,
        touch_date as event_date,
        {{ no_credit | trim }}
        false as is_of_models,
        cast(0 as {{ type_amount() }}) as spend,
        1 as touchpoints,
        0 as influenced
    from {{ ref('int_path_touches') }}
    where {{ in_window('touch_date') }}

    union all

    select
        channel,
        campaign,
        conversion_date as event_date,
        {% for model in attribution_models() -%}
            {{ model }},
            cast(0 as {{ type_amount() }}) as {{ model }}_revenue,
        {% endfor -%}
        true as is_of_models,
        cast(0 as {{ type_amount() }}) as spend,
        0 as touchpoints,
        influenced
    from {{ ref('attribution_credit') }}
    where {{ in_window('conversion_date') }}

    union all

    select
        channel,
        campaign,
        revenue_date as event_date,
        {% for model in attribution_models() -%}
            cast(0 as {{ type_amount() }}) as {{ model }},
            {{ model }}_revenue,
        {% endfor -%}
        true as is_of_models,
        cast(0 as {{ type_amount() }}) as spend,
        0 as touchpoints,
        0 as influenced
    from {{ ref('int_revenue_credited') }}
    where {{ in_window('revenue_date') }}
),

summed as (
    select
        channel,
        campaign,
        event_date,
        {% for model in attribution_models() -%}
            sum({{ model }}) as {{ model }},
            sum({{ model }}_revenue) as {{ model }}_revenue,
        {% endfor -%}
        max(case when is_of_models then 1 else 0 end) as is_of_models,
        max(case when is_of_models and influenced = 0 then 0 else 1 end) as is_of_none,
        sum(spend) as spend,
        sum(touchpoints) as touchpoints,
        sum(influenced) as influenced
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
