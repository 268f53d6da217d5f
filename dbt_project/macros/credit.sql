{#- Paths of touches and the credit that models of attribution give them: see attribution_credit. -#}

{#- The models that divide each conversion among the touches of its path, in the order of their columns. -#}
{% macro attribution_models() -%}
    {{ return(['first_touch', 'last_touch', 'last_non_direct', 'linear', 'position_based', 'time_decay', 'w_shaped', 'shapley']) }}
{%- endmacro %}

{#- The models as rows of one column, `model`, and a row without one: for what is of no model. -#}
{% macro rows_of_models() -%}
    {% for model in attribution_models() -%}
        select '{{ model }}' as model
        union all
    {% endfor -%}
    select cast(null as {{ type_text() }}) as model
{%- endmacro %}

{#- What stands in a column of its own for each model, by the model of a row; 0 without one.
    model: the column that names it. columns: begins the names of theirs. ending: ends them. type: of the result. -#}
{% macro of_its_model(model, columns, ending, type) -%}
    cast(case {{ model }}
        {%- for name in attribution_models() %}
        when '{{ name }}' then {{ columns }}{{ name }}{{ ending }}
        {%- endfor %}
        else 0
    end as {{ type }})
{%- endmacro %}

{#- What a whole credit consists of: 10^9, since an amount has nine digits. Credits are divided in these units, so that
    what is rounded down is known exactly and can be given to the last touch. -#}
{% macro credit_units() -%}
    {{ return(1000000000) }}
{%- endmacro %}

{#- The shares of a model that favours some touches, in units, as the variable `<model>_shares` says.

    Raises: one of them is no number, or negative, or all are together more than 1, or 0. -#}
{% macro units_of_shares(name, places) -%}
    {%- set shares, units = var(name), [] -%}
    {%- for place in places if shares is mapping and shares[place] is number and 0 <= shares[place] <= 1 -%}
        {%- do units.append((shares[place] * credit_units()) | round | int) -%}
    {%- endfor -%}
    {%- if units | length != places | length or not 0 < units | sum <= credit_units() -%}
        {{ exceptions.raise_compiler_error(name ~ " in dbt_project.yml is " ~ shares ~ "; it must say " ~ places | join(', ') ~ " as numbers from 0 on, which are together more than 0 and at most 1") }}
    {%- endif -%}
    {{ return(units) }}
{%- endmacro %}

{#- Days for which a touch counts, by its type, as an expression.
    column: the type of the touch.

    Raises: a lookback is no whole number from 0 to 366. -#}
{% macro touch_lookback_days(column) -%}
    {%- set of_others = whole_number('touch_lookback_days', var('touch_lookback_days'), 0, 366) -%}
    {%- set by_type = var('touch_lookback_days_by_type') -%}
    case {{ column }}
        {%- for type, days in by_type.items() %}
        when '{{ type }}' then {{ whole_number('touch_lookback_days_by_type.' ~ type, days, 0, 366) }}
        {%- endfor %}
        else {{ of_others }}
    end
{%- endmacro %}

{#- How many whole times one number goes into another.
    number, by: whole numbers, no matter which expressions; neither is negative. -#}
{% macro whole_times(number, by) -%}
    {{ return(adapter.dispatch('whole_times')(number, by)) }}
{%- endmacro %}

{% macro default__whole_times(number, by) -%}
    (({{ number }}) // ({{ by }}))
{%- endmacro %}

{% macro bigquery__whole_times(number, by) -%}
    div(({{ number }}), ({{ by }}))
{%- endmacro %}

{#- Whether a text holds something that matches a regular expression (RE2).
    text, pattern: expressions; null where one of them is. -#}
{% macro matches(text, pattern) -%}
    {{ return(adapter.dispatch('matches')(text, pattern)) }}
{%- endmacro %}

{% macro default__matches(text, pattern) -%}
    regexp_matches({{ text }}, {{ pattern }})
{%- endmacro %}

{% macro bigquery__matches(text, pattern) -%}
    regexp_contains({{ text }}, {{ pattern }})
{%- endmacro %}

{#- Rows that are the same in some columns (`by`) share one whole: the sum of each of some columns is exactly 1. Those of
    which it is not, by day. -#}
{% test sums_to_one(model, by, columns) %}
    {%- if not execute -%}
        select 1 as placeholder
    {%- else -%}
        {%- set day = tested_node().config.meta.day -%}
        select
            {{ day }} as the_day,
            {{ by | join(', ') }}
            {%- for column in columns %},
            sum({{ column }}) as sum_of_{{ column }}
            {%- endfor %}
        from {{ model }}
        group by {{ day }}, {{ by | join(', ') }}
        having
            {% for column in columns -%}
            sum({{ column }}) != 1
            {{ 'or ' if not loop.last }}
            {%- endfor %}
    {%- endif -%}
{% endtest %}
