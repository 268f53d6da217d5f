{#- Times: the warehouses add and pick in different words. -#}

{#- A timestamp some minutes later.
    column: the timestamp, any expression.
    minutes: a whole number. -#}
{% macro plus_minutes(column, minutes) -%}
    {{ return(adapter.dispatch('plus_minutes')(column, minutes)) }}
{%- endmacro %}

{% macro default__plus_minutes(column, minutes) -%}
    {{ column }} + interval ({{ minutes }}) minute
{%- endmacro %}

{% macro bigquery__plus_minutes(column, minutes) -%}
    timestamp_add({{ column }}, interval ({{ minutes }}) minute)
{%- endmacro %}

{#- A timestamp some seconds later.
    column: the timestamp, any expression.
    seconds: a whole number, or an expression of one. -#}
{% macro plus_seconds(column, seconds) -%}
    {{ return(adapter.dispatch('plus_seconds')(column, seconds)) }}
{%- endmacro %}

{% macro default__plus_seconds(column, seconds) -%}
    {{ column }} + interval ({{ seconds }}) second
{%- endmacro %}

{% macro bigquery__plus_seconds(column, seconds) -%}
    timestamp_add({{ column }}, interval ({{ seconds }}) second)
{%- endmacro %}

{#- A date some days earlier.
    column: the date. days: a whole number, or an expression of one. -#}
{% macro minus_days(column, days) -%}
    {{ return(adapter.dispatch('minus_days')(column, days)) }}
{%- endmacro %}

{% macro default__minus_days(column, days) -%}
    ({{ column }} - cast({{ days }} as integer))
{%- endmacro %}

{% macro bigquery__minus_days(column, days) -%}
    date_sub({{ column }}, interval {{ days }} day)
{%- endmacro %}

{#- The value, null included, in that row of a group where another column is smallest; rows where that is null are left
    out, and where it is null in all rows the value is null.
    column: the value. by: what is smallest. -#}
{% macro value_at_first(column, by) -%}
    {{ return(adapter.dispatch('value_at_first')(column, by)) }}
{%- endmacro %}

{% macro default__value_at_first(column, by) -%}
    arg_min_null({{ column }}, {{ by }})
{%- endmacro %}

{% macro bigquery__value_at_first(column, by) -%}
    array_agg(if({{ by }} is null, null, {{ column }}) order by {{ by }} is null, {{ by }} limit 1)[safe_offset(0)]
{%- endmacro %}

{#- The same where the other column is largest. -#}
{% macro value_at_last(column, by) -%}
    {{ return(adapter.dispatch('value_at_last')(column, by)) }}
{%- endmacro %}

{% macro default__value_at_last(column, by) -%}
    arg_max_null({{ column }}, {{ by }})
{%- endmacro %}

{% macro bigquery__value_at_last(column, by) -%}
    array_agg(if({{ by }} is null, null, {{ column }}) order by {{ by }} desc limit 1)[safe_offset(0)]
{%- endmacro %}

{#- Whole days from one date to another.
    first, second: the dates; null where one of them is. -#}
{% macro days_between(first, second) -%}
    {{ return(adapter.dispatch('days_between')(first, second)) }}
{%- endmacro %}

{% macro default__days_between(first, second) -%}
    ({{ second }} - {{ first }})
{%- endmacro %}

{% macro bigquery__days_between(first, second) -%}
    date_diff({{ second }}, {{ first }}, day)
{%- endmacro %}

{#- The Monday of the week of a date. -#}
{% macro monday_of(column) -%}
    {{ return(adapter.dispatch('monday_of')(column)) }}
{%- endmacro %}

{% macro default__monday_of(column) -%}
    cast(date_trunc('week', {{ column }}) as date)
{%- endmacro %}

{% macro bigquery__monday_of(column) -%}
    date_trunc({{ column }}, week(monday))
{%- endmacro %}

{#- The first day of the month of a date. -#}
{% macro first_of_month(column) -%}
    {{ return(adapter.dispatch('first_of_month')(column)) }}
{%- endmacro %}

{% macro default__first_of_month(column) -%}
    cast(date_trunc('month', {{ column }}) as date)
{%- endmacro %}

{% macro bigquery__first_of_month(column) -%}
    date_trunc({{ column }}, month)
{%- endmacro %}
