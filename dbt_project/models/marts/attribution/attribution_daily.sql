{#- Of what is larger, a square has more digits than an amount. -#}
{%- set most = 'cast(1000000000 as ' ~ type_amount() ~ ')' -%}
{%- set numbers, of_conversions, of_revenue = {}, {'influenced': 'influenced'}, {} -%}
{%- for model in attribution_models() -%}
    {%- for credit, own in ((model, of_conversions), (model ~ '_revenue', of_revenue)) -%}
        {#- A number of equally likely rows has the variance of its size (Poisson), so that a sum over them has that of the
            sum of squares. Rounded for each row, so that it does not depend on an order. -#}
        {%- set size = 'least(abs(' ~ credit ~ '), ' ~ most ~ ')' -%}
        {%- do own.update({
            credit: credit,
            credit ~ '_variance': size ~ ' * ' ~ size,
            credit ~ '_rows': 'case when ' ~ credit ~ ' = 0 then 0 else 1 end',
        }) -%}
        {%- do numbers.update({
            credit: type_amount(), credit ~ '_variance': type_amount(), credit ~ '_rows': type_count()
        }) -%}
    {%- endfor -%}
{%- endfor -%}
{%- do numbers.update({'spend': type_amount(), 'touchpoints': type_count(), 'influenced': type_count()}) -%}

with spend as (
    select * from {{ ref('stg_marketing_spend') }}
    where {{ in_window('spend_date') }}
),

aliases as (
    select * from {{ ref('lookup_campaign_aliases') }}
),

-- What a campaign of a channel has of a conversion, by all its touches: the squares are of that.
credits as (
    select
        conversion_id,
        channel,
        campaign,
        conversion_date,
        {% for model in attribution_models() -%}
            cast(sum({{ model }}) as {{ type_amount() }}) as {{ model }},
        {% endfor -%}
        sum(influenced) as influenced
    from {{ ref('attribution_credit') }}
    where {{ in_window('conversion_date') }}
    group by conversion_id, channel, campaign, conversion_date
),

-- And of what a user brought on a day.
revenues as (
    select
        user_id,
        channel,
        campaign,
        {% for model in attribution_models() -%}
            cast(sum({{ model }}_revenue) as {{ type_amount() }}) as {{ model }}_revenue,
        {% endfor -%}
        revenue_date
    from {{ ref('int_revenue_credited') }}
    where {{ in_window('revenue_date') }}
    group by user_id, channel, campaign, revenue_date
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
    from credits

    union all

    select
        channel,
        campaign,
        revenue_date as event_date,
        true as is_of_models,
        {{ numbers_or_zero(numbers, of_revenue) }}
    from revenues
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
    {{ rows_of_models() }}
),

final as (
    select
        summed.channel,
        summed.campaign,
        models.model,

        {% for credit, column in (('', 'credited_conversions'), ('_revenue', 'credited_revenue')) -%}
            {% for kind, type in (('', type_amount()), ('_variance', type_amount()), ('_rows', type_count())) -%}
                {{ of_its_model('models.model', 'summed.', credit ~ kind, type) }} as {{ column ~ kind }},
            {% endfor -%}
        {% endfor -%}
        cast(case when models.model is null then summed.influenced else 0 end as {{ type_count() }}) as influenced_conversions,
        cast(case when models.model is null then summed.touchpoints else 0 end as {{ type_count() }}) as touchpoints,
        cast(case when models.model is null then summed.spend else 0 end as {{ type_amount() }}) as spend,

        summed.event_date
    from summed
    inner join models
        on (models.model is null and summed.is_of_none = 1) or (models.model is not null and summed.is_of_models = 1)
)

select * from final
