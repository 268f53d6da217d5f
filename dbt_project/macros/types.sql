{#- Types that the warehouses call by different names. -#}

{#- Money and volumes: exact, so that sums do not depend on the order in which threads add. BigQuery's NUMERIC. -#}
{% macro type_amount() -%}
    {{ return(adapter.dispatch('type_amount')()) }}
{%- endmacro %}

{% macro default__type_amount() -%}decimal(38, 9){%- endmacro %}

{% macro bigquery__type_amount() -%}numeric{%- endmacro %}

{#- Numbers of rows. -#}
{% macro type_count() -%}
    {{ return(adapter.dispatch('type_count')()) }}
{%- endmacro %}

{% macro default__type_count() -%}bigint{%- endmacro %}

{% macro bigquery__type_count() -%}int64{%- endmacro %}

{#- Text of any length. -#}
{% macro type_text() -%}{{ dbt.type_string() }}{%- endmacro %}

{#- Ratios and bounds of intervals: 64 bits. They are rounded to six digits, so that all warehouses agree on them. -#}
{% macro type_ratio() -%}
    {{ return(adapter.dispatch('type_ratio')()) }}
{%- endmacro %}

{% macro default__type_ratio() -%}double{%- endmacro %}

{% macro bigquery__type_ratio() -%}float64{%- endmacro %}
