{#- How models reach raw days, and how duplicates among them are told apart. Primary keys and dedup orders are those of the
    source's spec in Python, which comes with every run as the variable `sources`. -#}

{#- The raw days of a source, all of them; a filter on _day opens only the days that it names.
    name: the source, as its spec names it. -#}
{% macro raw(name) -%}
    {{ return(adapter.dispatch('raw')(name)) }}
{%- endmacro %}

{% macro default__raw(name) -%}
    {{ source('raw', name) }}
{%- endmacro %}

{% macro bigquery__raw(name) -%}
    {%- do source('raw', name) -%}
    {{ api.Relation.create(database=target.database, schema=generate_schema_name('raw'), identifier='raw_' ~ name) }}
{%- endmacro %}

{% macro duckdb__raw(name) -%}
    {%- do source('raw', name) -%}
    {#- Relative to file_search_path, which whoever connects sets: the data folder may be moved, or copied. -#}
    {%- set files = 'raw_' ~ name ~ '/*/data.parquet' -%}
    read_parquet({{ dbt.string_literal(dbt.escape_single_quotes(files)) }}, hive_partitioning = true, hive_types = {'_day': date}, union_by_name = true)
{%- endmacro %}

{#- 1 for the row that stays among those of one day with one key, by the dedup order of the source's spec. Ties are
    broken by a hash of the row, never by arrival; rows that are equal in everything keep their first landing. Where the
    spec says what is delivered as a whole, it is 1 only for rows of the newest version of that.
    name: the source, as its spec names it. -#}
{% macro duplicate_rank(name) -%}
    {%- set spec = spec_of(name) -%}
    row_number() over (
        partition by _day, {{ quoted(spec.primary_key) }}
        order by
            {{ by_dedup_order(spec) ~ ',' if spec.dedup_order }}
            {{ row_hash(spec.columns, spec.kinds) }}, _landed_at, _source_file, _source_row
    )
    {%- if spec.whole %} + {{ version_rank(spec) }} - 1{% endif %}
{%- endmacro %}

{#- The spec of a source, as far as SQL needs it: primary key, dedup order, columns, kinds, whole. When dbt parses, nobody has said it,
    and any will do.
    Raises: it is not known when it is needed. -#}
{% macro spec_of(name) -%}
    {%- set specs = given('sources') -%}
    {%- if execute and not specs -%}
        {{ exceptions.raise_compiler_error(
            "The keys of the sources come with the project's own runs. Type `analytics-assets dbt --from DATE --to DATE -- <dbt's own arguments>`.") }}
    {%- endif -%}
    {{ return((specs or {}).get(name, {'primary_key': ['_source_row'], 'dedup_order': [], 'columns': ['_source_row'], 'kinds': {}})) }}
{%- endmacro %}

{#- 1 for the rows of the newest version of what is delivered as a whole, within its day; the versions before it count
    on. Rows that tie in it are one version.
    spec: of the source; it names `whole`. -#}
{% macro version_rank(spec) -%}
    rank() over (partition by _day, {{ quoted(spec.whole) }} order by {{ by_dedup_order(spec) }})
{%- endmacro %}

{#- The dedup order of a source's spec as an order, the row that is kept first. -#}
{% macro by_dedup_order(spec) -%}
    {%- for column, direction in spec.dedup_order -%}
        {{ adapter.quote(column) }} {{ direction }} nulls last{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- A hash over columns, nulls told from empty texts; the same on all warehouses for columns whose kind is said.
    kinds: of columns whose texts the warehouses write differently: fraction, decimal, time. -#}
{% macro row_hash(columns, kinds={}) -%}
    md5(concat(
        {%- for column in columns %}
        coalesce({{ exact_text(adapter.quote(column), kinds.get(column)) }}, '␀'), '␟'{{ ',' if not loop.last }}
        {%- endfor %}
    ))
{%- endmacro %}

{#- A value as text, all of it: fractions with the 17 digits that tell any two of them apart, decimals without zeros at
    the end, times as microseconds since 1970.
    kind: as above; none for what all warehouses write alike. -#}
{% macro exact_text(column, kind) -%}
    {{ return(adapter.dispatch('exact_text')(column, kind)) }}
{%- endmacro %}

{% macro default__exact_text(column, kind) -%}
    {%- if kind == 'fraction' -%}
        printf('%.17g', {{ column }})
    {%- elif kind == 'decimal' -%}
        rtrim(rtrim(cast({{ column }} as varchar), '0'), '.')
    {%- elif kind == 'time' -%}
        cast(epoch_us({{ column }}) as varchar)
    {%- else -%}
        cast({{ column }} as {{ type_text() }})
    {%- endif -%}
{%- endmacro %}

{% macro bigquery__exact_text(column, kind) -%}
    {%- if kind == 'fraction' -%}
        format('%.17g', {{ column }})
    {%- elif kind == 'time' -%}
        cast(unix_micros({{ column }}) as string)
    {%- else -%}
        cast({{ column }} as {{ type_text() }})
    {%- endif -%}
{%- endmacro %}

{#- A column by its name as the files write it: in capitals, say, or a word that SQL keeps for itself. -#}
{% macro as_written(name) -%}{{ adapter.quote(name) }}{%- endmacro %}

{% macro quoted(columns) -%}
    {%- for column in columns %}{{ adapter.quote(column) }}{{ ', ' if not loop.last }}{% endfor -%}
{%- endmacro %}
