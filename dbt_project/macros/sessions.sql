{#- Minutes for which a customer may be idle within a session.

    Raises: the variable is not between 1 minute and a day. A longer gap would let a session run over a whole day without
    events, and a day's sessions would depend on more than the day before. -#}
{% macro session_gap_minutes() -%}
    {{ return(whole_number('session_gap_minutes', var('session_gap_minutes'), 1, 24 * 60 - 1)) }}
{%- endmacro %}

{#- Hours after the end of a day from which on what lands for it is late.

    Raises: the variable is negative, or more than a year. -#}
{% macro late_after_hours() -%}
    {{ return(whole_number('late_after_hours', var('late_after_hours'), 0, 366 * 24)) }}
{%- endmacro %}

{#- The value of a variable, which must be a whole number between two. -#}
{% macro whole_number(name, value, least, most) -%}
    {%- if value | string != value | int | string or not least <= value | int <= most -%}
        {{ exceptions.raise_compiler_error(name ~ " in dbt_project.yml is " ~ value ~ "; it must be a whole number from " ~ least ~ " to " ~ most) }}
    {%- endif -%}
    {{ return(value | int) }}
{%- endmacro %}
