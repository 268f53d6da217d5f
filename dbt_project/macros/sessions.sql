{#- Minutes for which a customer may be idle within a session.

    Raises: the variable is not between 1 minute and a day. A longer gap would let a session run over a whole day without
    events, and a day's sessions would depend on more than the day before. -#}
{% macro session_gap_minutes() -%}
    {%- set gap = var('session_gap_minutes') | int -%}
    {%- if not 0 < gap < 24 * 60 -%}
        {{ exceptions.raise_compiler_error("session_gap_minutes in dbt_project.yml is " ~ var('session_gap_minutes') ~ "; it must be a whole number from 1 to 1439") }}
    {%- endif -%}
    {{ return(gap) }}
{%- endmacro %}
