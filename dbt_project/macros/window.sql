{#-
  The window: the days that a run makes. A model filters by it always and replaces exactly it, so that a day whose
  input has become empty ends up empty, and the first run makes no more days than any other. What it selects beside the
  window fails it.
-#}

{#- What comes with every run that the project starts: the window, the keys of the sources. When dbt is
    started by hand, the values come from its connection, where analytics_assets/plain_dbt.py stored them; the window is
    then the newest day. None where there are none: on BigQuery, and when dbt parses.
    name: of the variable. -#}
{% macro given(name) -%}
    {%- if var(name, none) is not none -%}
        {{ return(var(name)) }}
    {%- endif -%}
    {%- set values = none -%}
    {%- if execute and target.type == 'duckdb' -%}
        {%- set values = run_query("select getvariable('project_values')").columns[0].values()[0] -%}
    {%- endif -%}
    {{ return(fromjson(values).get(name) if values else none) }}
{%- endmacro %}

{#- Days of the window as a filter.
    column: the column that holds the day (a date).
    of: the upstream model that is filtered, when the model's meta names other days of it. -#}
{% macro in_window(column, of=none) -%}
    {{ between_edges(column, days_read(model.config.get('meta', {}), of) if of else [0, 0]) }}
{%- endmacro %}

{#- The upstream days that a day is made from, as offsets: what `meta.reads` says of a model that is not read by key.
    An offset of null is an open side.
    meta: of the reader. name: of the upstream model. -#}
{% macro days_read(meta, name) -%}
    {%- for read in meta.get('reads', []) if read.model == name and not read.get('key') -%}
        {{ return(read.get('days', [0, 0])) }}
    {%- endfor -%}
    {{ return([0, 0]) }}
{%- endmacro %}

{#- The days of a column that some offsets tie to the window. BigQuery wants to see some edge where it asks for a filter. -#}
{% macro between_edges(column, offsets) -%}
    {{ column }} >= {% if offsets[0] is none %}date '0001-01-01'{% else %}{{ window_edge('window_start', offsets[0]) }}{% endif %}
    {%- if offsets[1] is not none %} and {{ column }} < {{ window_edge('window_end', offsets[1]) }}{% endif %}
{%- endmacro %}

{#- A filter that all days pass: BigQuery wants to see one on each table that asks for it. For views over all days.
    column: the column that holds the day. -#}
{% macro on_any_day(column) -%}
    {{ column }} >= date '0001-01-01'
{%- endmacro %}

{#- One edge of the window, moved by a number of days, as a date literal. -#}
{% macro window_edge(name, offset=0) -%}
    {%- set edge = given(name) -%}
    {%- if not edge -%}
        {%- if execute -%}
            {{ exceptions.raise_compiler_error(
                "This model makes the days of a window, and no window was given. Run it with `analytics-assets materialize`, or with `analytics-assets dbt --from DATE --to DATE -- <dbt's own arguments>`.") }}
        {%- endif -%}
        date '1970-01-01'
    {%- else -%}
        {%- set day = modules.datetime.date.fromisoformat(edge) + modules.datetime.timedelta(days=offset) -%}
        date '{{ day.isoformat() }}'
    {%- endif -%}
{%- endmacro %}

{#- The days of the window as date literals. -#}
{% macro window_days() -%}
    {%- set first, end = modules.datetime.date.fromisoformat(given('window_start')), modules.datetime.date.fromisoformat(given('window_end')) -%}
    {%- set days = [] -%}
    {%- for number in range((end - first).days) -%}
        {%- do days.append("date '" ~ (first + modules.datetime.timedelta(days=number)).isoformat() ~ "'") -%}
    {%- endfor -%}
    {{ return(days) }}
{%- endmacro %}

{#- The days of the window as a table with the column `the_day`, those without rows among them.
    earlier: how many days before the window are in it, too. -#}
{% macro days_of_window(earlier=0) -%}
    {{ return(adapter.dispatch('days_of_window')(earlier)) }}
{%- endmacro %}

{% macro default__days_of_window(earlier) -%}
    (select cast(unnest(generate_series({{ window_edge('window_start', -earlier) }}, {{ window_edge('window_end', -1) }}, interval 1 day)) as date) as the_day)
{%- endmacro %}

{% macro bigquery__days_of_window(earlier) -%}
    (select the_day from unnest(generate_date_array({{ window_edge('window_start', -earlier) }}, {{ window_edge('window_end', -1) }})) as the_day)
{%- endmacro %}

{#- The first day that has a partition, as a date literal; before all days where nobody has said it. -#}
{% macro first_partition() -%}
    date '{{ given('first_day') or '0001-01-01' }}'
{%- endmacro %}

{#- The column that holds a model's day, as its meta names it; none for a model without one. -#}
{% macro day_column(relation) -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.alias == relation.identifier -%}
            {{ return(node.config.meta.get('day')) }}
        {%- endfor -%}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}

{#- Days before the first partition and after the last one, which a table holds after either was moved.
    column: the column that holds the day. -#}
{% macro without_partition(column) -%}
    {%- set last = var('last_day', none) -%}
    ({{ column }} < date '{{ var('first_day', '0001-01-01') }}'{% if last %} or {{ column }} > date '{{ last }}'{% endif %})
{%- endmacro %}

{#- What `delete+insert` deletes, in the same transaction as the insert: the window, not the keys that came; and the
    days that have no partition any more. -#}
{% macro duckdb__get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) -%}
    {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
    {{ duckdb_changed_keys(target, source, dest_columns) }}
    delete from {{ target }} where ({{ in_window(model.config.meta.day) }}) or {{ without_partition(model.config.meta.day) }};
    insert into {{ target }} ({{ columns }}) (select {{ columns }} from {{ source }})
{%- endmacro %}

{#- dbt-duckdb makes every table with this: a new one, and the temporary one from which days are replaced. What a model
    selects is held to the window here, in the same transaction: else a model that forgot to filter would give each of
    its runs all of history once more. -#}
{% macro duckdb__create_table_as(temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none) -%}
    {{ dbt.duckdb__create_table_as(temporary, relation, compiled_code, language, partitioned_by, sorted_by) }}
    {%- set day = model.config.get('meta', {}).get('day') -%}
    {%- if day and model.resource_type == 'model' -%}
    ;
    select
        error({{ said_of_rows_outside(
            day,
            "concat_ws(', ', case when dated > 0 then concat(dated, ' from ', first_day, ' to ', last_day) end,"
            ~ " case when row_count > dated then concat(row_count - dated, ' without any " ~ day ~ "') end,"
            ~ " case when day_type != 'DATE' then concat('with " ~ day ~ " as ', day_type, ' and not as a date') end)"
        ) }})
    from (
        select
            count(*) as row_count,
            count({{ day }}) as dated,
            min({{ day }}) as first_day,
            max({{ day }}) as last_day,
            min(typeof({{ day }})) as day_type
        from {{ relation.include(database=(not temporary), schema=(not temporary)) }}
        where not coalesce({{ in_window(day) }}, false) or typeof({{ day }}) != 'DATE'
    ) as outside
    where row_count > 0
    {%- if not temporary -%}
    {{ duckdb_all_keys_changed(relation, compiled_code) }}
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- What is said of rows that a model may not select, as a text in SQL.
    which: the rows, as an expression. -#}
{% macro said_of_rows_outside(day, which) -%}
    concat(
        '{{ model.name }} selects rows that are of no day of the run ({{ given('window_start') }} and on, before {{ given('window_end') }}): ',
        {{ which }},
        '. Nothing was written. Filter by in_window({{ day }}) in its SQL, and once more at the end where it reads more days than it makes.'
    )
{%- endmacro %}

{#- Tests look at the days that were built, and not at history. -#}
{% macro get_where_subquery(relation) -%}
    {%- set filters = [] -%}
    {%- set day = day_column(relation) -%}
    {%- if day and given('window_start') -%}
        {%- do filters.append(in_window(day)) -%}
    {%- endif -%}
    {%- if config.get('where') -%}
        {%- do filters.append('(' ~ config.get('where') ~ ')') -%}
    {%- endif -%}
    {%- if filters -%}
        {%- do return('(select * from ' ~ relation ~ ' where ' ~ filters | join(' and ') ~ ') as windowed') -%}
    {%- endif -%}
    {%- do return(relation) -%}
{%- endmacro %}
