{#- JSON and texts that hold lists or times: the warehouses' functions have different names and tempers. -#}

{#- A member of a JSON object in a text column, as text; null where there is none, where it is a list or an object, or
    where the text is no JSON. -#}
{% macro json_text(column, member) -%}
    {{ return(adapter.dispatch('json_text')(column, member)) }}
{%- endmacro %}

{% macro default__json_text(column, member) -%}
    case
        when json_valid({{ column }})
            then case
                when json_type({{ column }}, '$.{{ member }}') not in ('OBJECT', 'ARRAY')
                    then json_extract_string({{ column }}, '$.{{ member }}')
            end
    end
{%- endmacro %}

{% macro bigquery__json_text(column, member) -%}
    json_value(safe.parse_json({{ column }}, wide_number_mode => 'round'), '$.{{ member }}')
{%- endmacro %}

{#- A time written as ISO 8601 writes it, as a UTC timestamp: a date, or a date and a time to the second or finer, with
    T or a blank between them, and with Z, UTC or an offset behind them; UTC without either. Digits behind the
    microsecond are cut off. Null where it is written otherwise. -#}
{% macro utc_timestamp(text) -%}
    {{ return(adapter.dispatch('utc_timestamp')(text)) }}
{%- endmacro %}

{#- Each warehouse would read other forms besides, but not the same ones: DuckDB 'infinity' and hours without seconds,
    BigQuery leap seconds and offsets of one digit. -#}
{% macro pattern_of_time() -%}
    ^ *(\d{4}-\d\d-\d\d(?:[T ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z| UTC|[+-](?:(?:0\d|1[0-3])(?::?[0-5]\d)?|14(?::?00)?))?)?) *$
{%- endmacro %}

{% macro default__utc_timestamp(text) -%}
    try_cast(regexp_extract({{ text }}, '{{ pattern_of_time() }}', 1) as timestamptz) at time zone 'UTC'
{%- endmacro %}

{#- It reads no more digits than its timestamps have, and offsets with a colon. -#}
{% macro bigquery__utc_timestamp(text) -%}
    safe_cast(regexp_replace(
        regexp_replace(regexp_extract({{ text }}, r'{{ pattern_of_time() }}'), r'(\.\d{6})\d+', r'\1'),
        r'([+-]\d\d)(\d\d)$', r'\1:\2'
    ) as timestamp)
{%- endmacro %}

{#- The first code of a comma-separated list; unknown without one. -#}
{% macro first_code(column) -%}
    {{ return(adapter.dispatch('first_code')(column)) }}
{%- endmacro %}

{% macro default__first_code(column) -%}
    coalesce(split_part({{ column }}, ',', 1), 'unknown')
{%- endmacro %}

{% macro bigquery__first_code(column) -%}
    coalesce(split({{ column }}, ',')[safe_offset(0)], 'unknown')
{%- endmacro %}

{#- A list of codes in capitals, separated by commas, whatever quotes, brackets and other separators stand in the text;
    null where there is no code. -#}
{% macro codes(column) -%}
    {{ return(adapter.dispatch('codes')(column)) }}
{%- endmacro %}

{% macro default__codes(column) -%}
    nullif(trim(regexp_replace(
        upper(regexp_replace({{ column }}, '[^A-Za-z0-9,;|-]', '', 'g')), '[,;|]+', ',', 'g'
    ), ','), '')
{%- endmacro %}

{% macro bigquery__codes(column) -%}
    nullif(trim(regexp_replace(
        upper(regexp_replace({{ column }}, r'[^A-Za-z0-9,;|-]', '')), r'[,;|]+', ','
    ), ','), '')
{%- endmacro %}

{#- Joins each code of a comma-separated list, as `code`; a row without a list stays, with null. -#}
{% macro left_join_codes(column) -%}
    {{ return(adapter.dispatch('left_join_codes')(column)) }}
{%- endmacro %}

{% macro default__left_join_codes(column) -%}
    left join lateral unnest(string_split({{ column }}, ',')) with ordinality as codes (code, code_number) on true
{%- endmacro %}

{% macro bigquery__left_join_codes(column) -%}
    left join unnest(split({{ column }}, ',')) as code with offset as code_number
{%- endmacro %}

{#- Whether a joined code is the first of its list, or its row has no list. -#}
{% macro is_first_code() -%}
    {{ return(adapter.dispatch('is_first_code')()) }}
{%- endmacro %}

{% macro default__is_first_code() -%}coalesce(code_number, 1) = 1{%- endmacro %}

{% macro bigquery__is_first_code() -%}coalesce(code_number, 0) = 0{%- endmacro %}

{#- A text without the blanks around it, tabs and line ends among them; null where nothing is left. -#}
{% macro trimmed(column) -%}
    {{ return(adapter.dispatch('trimmed')(column)) }}
{%- endmacro %}

{% macro default__trimmed(column) -%}
    nullif(trim({{ column }}, ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(160)), '')
{%- endmacro %}

{% macro bigquery__trimmed(column) -%}nullif(trim({{ column }}, ' \t\n\v\f\r\u00a0'), ''){%- endmacro %}

{#- Whole milliseconds between two timestamps. -#}
{% macro milliseconds_between(first, second) -%}
    {{ return(adapter.dispatch('milliseconds_between')(first, second)) }}
{%- endmacro %}

{% macro default__milliseconds_between(first, second) -%}
    date_sub('millisecond', {{ first }}, {{ second }})
{%- endmacro %}

{% macro bigquery__milliseconds_between(first, second) -%}
    timestamp_diff({{ second }}, {{ first }}, millisecond)
{%- endmacro %}

{#- The median of a column over a group, of exact values; nulls are left out. BigQuery has none that aggregates: there
    it is the middle of the sorted values, which one worker holds, so that a group has some ten million at most. -#}
{% macro median(column) -%}
    {{ return(adapter.dispatch('median')(column)) }}
{%- endmacro %}

{% macro default__median(column) -%}median({{ column }}){%- endmacro %}

{% macro bigquery__median(column) -%}
    {%- set values = 'array_agg(' ~ column ~ ' ignore nulls order by ' ~ column ~ ')' -%}
    ((
        {{ values }}[safe_offset(div((count({{ column }}) - 1), 2))] + {{ values }}[safe_offset(div(count({{ column }}), 2))]
    ) / 2)
{%- endmacro %}
