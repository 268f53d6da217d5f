{#- Types that the warehouses call by different names. The project says DuckDB's; contracts in the models' yml, too. -#}

{#- The warehouse's name of a type.
    name: one of those below, as DuckDB writes it.

    Amounts are exact, so that sums do not depend on the order in which threads add; timestamps are UTC, which
    BigQuery's TIMESTAMP means and DuckDB's TIMESTAMP holds. JSON stays text, as it was sent. -#}
{% macro type_of(name) -%}
    {{ return(adapter.dispatch('type_of')(name)) }}
{%- endmacro %}

{% macro default__type_of(name) -%}
    {{ return(name) }}
{%- endmacro %}

{% macro bigquery__type_of(name) -%}
    {%- set names = {
        'varchar': 'string',
        'bigint': 'int64',
        'double': 'float64',
        'decimal(38, 9)': 'numeric',
        'boolean': 'bool',
        'date': 'date',
        'timestamp': 'timestamp',
    } -%}
    {%- if name not in names -%}
        {{ exceptions.raise_compiler_error("There is no name for the type " ~ name ~ " on BigQuery; there is one for " ~ names | join('; ') ~ ". See macros/types.sql.") }}
    {%- endif -%}
    {{ return(names[name]) }}
{%- endmacro %}

{#- Money and volumes. -#}
{% macro type_amount() -%}{{ type_of('decimal(38, 9)') }}{%- endmacro %}

{#- Numbers of rows. -#}
{% macro type_count() -%}{{ type_of('bigint') }}{%- endmacro %}

{#- Text of any length. -#}
{% macro type_text() -%}{{ type_of('varchar') }}{%- endmacro %}

{#- Ratios and bounds of intervals: 64 bits. They are rounded to six digits, so that all warehouses agree on them. -#}
{% macro type_ratio() -%}{{ type_of('double') }}{%- endmacro %}
