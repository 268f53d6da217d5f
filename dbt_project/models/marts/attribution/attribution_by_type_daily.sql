{%- set numbers, of_conversions, of_revenue = {'influenced': type_count()}, {'influenced': 'influenced'}, {} -%}
{%- for model in attribution_models() -%}
    {%- do numbers.update({model: type_amount(), model ~ '_revenue': type_amount()}) -%}
    {%- do of_conversions.update({model: model}) -%}
    {%- do of_revenue.update({model ~ '_revenue': model ~ '_revenue'}) -%}
{%- endfor -%}

with parts as (
    select
        channel,
        campaign,
        coalesce(touchpoint_type, 'none') as touchpoint_type,
        conversion_date as event_date,
        {{ numbers_or_zero(numbers, of_conversions) }}
    from {{ ref('attribution_credit') }}
    where {{ in_window('conversion_date') }}

    union all

    select
        channel,
        campaign,
        coalesce(touchpoint_type, 'none') as touchpoint_type,
        revenue_date as event_date,
        {{ numbers_or_zero(numbers, of_revenue) }}
    from {{ ref('int_revenue_credited') }}
    where {{ in_window('revenue_date') }}
),

summed as (
    select
        channel,
        campaign,
        touchpoint_type,
        event_date,
        {{ sums_of(numbers) }}
    from parts
    group by channel, campaign, touchpoint_type, event_date
),

models as (
    {{ rows_of_models() }}
),

final as (
    select
        summed.channel,
        summed.campaign,
        summed.touchpoint_type,
        models.model,

        {{ of_its_model('models.model', 'summed.', '', type_amount()) }} as credited_conversions,
        {{ of_its_model('models.model', 'summed.', '_revenue', type_amount()) }} as credited_revenue,
        cast(case when models.model is null then summed.influenced else 0 end as {{ type_count() }}) as influenced_conversions,

        summed.event_date
    from summed
    inner join models on models.model is not null or summed.influenced > 0
)

select * from final
