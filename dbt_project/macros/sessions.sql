{#- Seconds for which a customer may be idle before an event, within a session: by the event's device, an expression;
    the longest of all without one.

    Raises: a variable is not between a second and a day. A longer gap would let a session run over a whole day without
    events, and a day's sessions would depend on more than the day before. -#}
{% macro session_gap_seconds(device=none) -%}
    {%- set usual = whole_number('session_gap_seconds', var('session_gap_seconds'), 1, 24 * 60 * 60 - 1) -%}
    {%- set own = {} -%}
    {%- for name, gap in var('session_gap_seconds_by_device', {}).items() -%}
        {%- do own.update({name: whole_number('session_gap_seconds_by_device', gap, 1, 24 * 60 * 60 - 1)}) -%}
    {%- endfor -%}
    {%- if device is none or not own -%}
        {{ return(([usual] + own.values() | list) | max) }}
    {%- endif -%}
    {%- set cases = [] -%}
    {%- for name, gap in own.items() -%}
        {%- do cases.append("when '" ~ name ~ "' then " ~ gap) -%}
    {%- endfor -%}
    {{ return('case ' ~ device ~ ' ' ~ cases | join(' ') ~ ' else ' ~ usual ~ ' end') }}
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
