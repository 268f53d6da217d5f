{#-
  What sampled events say of all events. Each event is in the sample by itself, with a known probability (Bernoulli
  sampling with unequal probabilities), so that

  - a volume is estimated without bias by the sum of 1/p over the sampled events, and the variance of that estimate by
    the sum of (1 - p)/p^2 (Horvitz and Thompson, 1952, Journal of the American Statistical Association 47, 663-685;
    for independent draws the joint terms vanish);
  - a ratio R = G/A of two such volumes of different events has, by linearization, the relative variance
    Var(G)/G^2 + Var(A)/A^2 (Cochran, 1977, Sampling Techniques, chapter 6; the covariance is zero). Its interval is
    taken on the scale of logarithms, since the ratio is skewed where A is small.

  A row gathers COUNT events of the sample, each of which was drawn by itself: it adds COUNT (1 - p)/p^2 to the variance.
  (Were rows drawn whole, a row would add COUNT^2 (1 - p)/p^2. What is written of RATE is that events are sampled.) Where
  COUNT stands for all events already, a row is one event of the sample and adds (1 - p)/p^2.

  Both intervals are 95 % ones by the normal approximation, and null below 30 sampled rows, where it does not hold.
-#}

{#- A volume over a group of rows that hold `events`, `events_variance` and `sampled_rows`: three columns.
    condition: which rows count. -#}
{% macro volume(name, condition='true') -%}
    sum(case when {{ condition }} then events else 0 end) as {{ name }},
    sum(case when {{ condition }} then events_variance else 0 end) as {{ name }}_variance,
    sum(case when {{ condition }} then sampled_rows else 0 end) as {{ name }}_rows
{%- endmacro %}

{#- A volume with its interval, from the three columns of `volume`. -#}
{% macro volume_with_interval(name) -%}
    cast({{ name }} as {{ type_amount() }}) as {{ name }},
    {{ volume_bound(name, '-') }} as {{ name }}_low,
    {{ volume_bound(name, '+') }} as {{ name }}_high
{%- endmacro %}

{% macro volume_bound(name, sign) -%}
    case
        when {{ name }}_rows >= 30
            then round(
                greatest({{ as_ratio(name) }} {{ sign }} 1.96 * sqrt({{ as_ratio(name ~ '_variance') }}), 0), 6
            )
    end
{%- endmacro %}

{% macro as_ratio(column) -%}cast({{ column }} as {{ type_ratio() }}){%- endmacro %}

{#- A ratio of two volumes with its interval; null where the second is zero. -#}
{% macro ratio_with_interval(name, over, under) -%}
    {{ ratio(over, under) }} as {{ name }},
    {{ ratio_bound(over, under, '-') }} as {{ name }}_low,
    {{ ratio_bound(over, under, '+') }} as {{ name }}_high
{%- endmacro %}

{% macro ratio(over, under) -%}
    round({{ as_ratio(over) }} / nullif({{ as_ratio(under) }}, 0), 6)
{%- endmacro %}

{% macro ratio_bound(over, under, sign) -%}
    case
        when {{ over }}_rows >= 30 and {{ under }}_rows >= 30 and {{ over }} > 0 and {{ under }} > 0
            then round(
                {{ as_ratio(over) }} / {{ as_ratio(under) }} * exp(
                    {{ sign }}1.96 * sqrt(
                        {{ as_ratio(over ~ '_variance') }} / power({{ as_ratio(over) }}, 2)
                        + {{ as_ratio(under ~ '_variance') }} / power({{ as_ratio(under) }}, 2)
                    )
                ),
                6
            )
    end
{%- endmacro %}

{#- COUNT may already stand for all events; then COUNT / RATE counts twice. This tells of it: the days of a company on
    which nearly every sampled row has COUNT close to 1 / RATE. A few rows may look so by chance: a day has at_least. -#}
{% test count_is_of_the_sample(model, count, rate, company, share=0.9, at_least=30) %}
    select
        event_date as the_day,
        {{ company }},
        count(*) as sampled_rows,
        sum(case when abs({{ count }} * {{ rate }} - 1) < 0.1 then 1 else 0 end) as rows_with_count_close_to_one_over_rate
    from {{ model }}
    where {{ rate }} < 1 and not {{ 'true' if var('count_is_extrapolated') else 'false' }}
    group by event_date, {{ company }}
    having
        count(*) >= {{ at_least }}
        and sum(case when abs({{ count }} * {{ rate }} - 1) < 0.1 then 1 else 0 end) >= {{ share }} * count(*)
{% endtest %}
