{#-
  What is read by key: rows of any day, of which a day is made because their key occurs in its own rows.

  The readers' side is `by_key`, which gives a model such rows and no others. The other side notes, where a day of a
  model that is read by key is replaced, the keys whose rows have changed, in the transaction of the replacement: the
  step that ran dbt then finds the days of the readers in which they occur (analytics_assets/dbt/changed_keys.py).
-#}

{#- The rows of an upstream model that a reader's days are made from by key, as its `meta.reads` says. Each row has the
    column `_for_day`: the reader's day that it belongs to; then the key and the columns that are named. Join by
    `_for_day` and the key: in a run of several days, each day has rows of its own.
    name: of the upstream model. -#}
{% macro by_key(name) -%}
    {%- set upstream = ref(name) -%}
    {%- if not execute -%}
        {{ return('(select * from ' ~ upstream ~ ')') }}
    {%- endif -%}
    {%- set meta = meta_of(model.tested_node_unique_id.split('.')[-1] if model.resource_type == 'unit_test' else model.name) -%}
    {%- set read = read_by_key(meta, name) -%}
    {%- set key, driver = as_list(read.key), ref(read.of) -%}
    {%- set day, driver_day = meta_of(name).day, meta_of(read.of).day -%}
    {%- set driver_days, days = days_read(meta, read.of), read.get('days', [0, 0]) -%}
    {%- set same_day = driver_days == [0, 0] -%}
    {%- set for_day = 'driver.' ~ adapter.quote(driver_day) if same_day else 'bound.the_day' -%}
    (
        select
            keys._for_day
            {%- for column in key + as_list(read.get('columns', [])) %},
            upstream.{{ adapter.quote(column) }}
            {%- endfor %}
        from (
            select distinct
                {{ for_day }} as _for_day
                {%- for column in key %},
                driver.{{ adapter.quote(column) }}
                {%- endfor %}
            from {{ driver }} as driver
            {%- if not same_day %}
            inner join {{ days_of_window() }} as bound
                on true
                {%- if driver_days[0] is not none %} and driver.{{ adapter.quote(driver_day) }} >= {{ minus_days('bound.the_day', -driver_days[0]) }}{% endif %}
                {%- if driver_days[1] is not none %} and driver.{{ adapter.quote(driver_day) }} <= {{ minus_days('bound.the_day', -driver_days[1]) }}{% endif %}
            {%- endif %}
            where {{ between_edges('driver.' ~ adapter.quote(driver_day), driver_days) }}
        ) as keys
        inner join {{ upstream }} as upstream
            on
                {% for column in key -%}
                keys.{{ adapter.quote(column) }} = upstream.{{ adapter.quote(column) }}
                {{- ' and ' if not loop.last }}
                {%- endfor %}
                {%- if days[0] is not none %} and upstream.{{ adapter.quote(day) }} >= {{ minus_days('keys._for_day', -days[0]) }}{% endif %}
                {%- if days[1] is not none %} and upstream.{{ adapter.quote(day) }} <= {{ minus_days('keys._for_day', -days[1]) }}{% endif %}
        where {{ between_edges('upstream.' ~ adapter.quote(day), days) }}
    )
{%- endmacro %}

{#- The meta of a model, by its name. In unit tests dbt fills in no graph: the values of the run hold it, too. -#}
{% macro meta_of(name) -%}
    {%- if graph.nodes is defined -%}
        {{ return(model_node(name).config.meta) }}
    {%- endif -%}
    {{ return(given('meta_by_key')[name]) }}
{%- endmacro %}

{#- What `meta.reads` says of a model that is read by key. -#}
{% macro read_by_key(meta, name) -%}
    {%- for read in meta.get('reads', []) if read.model == name and read.get('key') -%}
        {{ return(read) }}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error(
        "by_key('" ~ name ~ "') in " ~ model.name ~ ", but its meta.reads names no key for it. Say in its yml, for example: reads: [{model: " ~ name ~ ", days: [~, ~], key: <column>, of: <the model whose rows have the key>, columns: [<columns>]}]"
    ) }}
{%- endmacro %}

{#- A list of one or more names that the yml may say as a text. -#}
{% macro as_list(names) -%}
    {{ return([names] if names is string else names) }}
{%- endmacro %}

{#- Whether some model reads the current one by key. -#}
{% macro is_read_by_key() -%}
    {%- set reads = (given('meta_by_key') or {}).values() | map(attribute='reads') | sum(start=[]) -%}
    {{ return(reads | selectattr('key', 'defined') | selectattr('model', 'eq', model.name) | list | length > 0) }}
{%- endmacro %}

{#- Where the changed keys of the current model are noted, one table for each key and columns that a reader names.
    columns: the names of the model's columns. What a reader names and the model does not have is not compared: the
    reader fails by itself, and must not make this one fail. -#}
{% macro tables_of_changed_keys(columns) -%}
    {%- set found, held = {}, {} -%}
    {%- for column in columns -%}
        {%- do held.update({column | lower: column}) -%}
    {%- endfor -%}
    {%- for meta in (given('meta_by_key') or {}).values() -%}
        {%- for read in meta.reads if read.model == model.name and read.get('key') -%}
            {%- set key, named = as_list(read.key), as_list(read.get('columns', [])) -%}
            {%- set relation = this.incorporate(path={'identifier': model.alias ~ '__changed_' ~ local_md5(key | join(',') ~ '|' ~ named | join(','))[:8]}) -%}
            {%- set names = [] -%}
            {%- for column in key + named if column | lower in held and held[column | lower] not in names -%}
                {%- do names.append(held[column | lower]) -%}
            {%- endfor -%}
            {%- if key | map('lower') | reject('in', held) | list == [] -%}
                {%- do found.update({relation.identifier: {'relation': relation, 'key': key, 'compared': names}}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found.values() | list) }}
{%- endmacro %}

{#- The statement that makes a table of changed keys, unless it is there.
    rows: the model's table, or others with its types. -#}
{% macro create_changed_keys(changed, rows) -%}
    create table if not exists {{ changed.relation }} as
    select
        cast('' as {{ type_text() }}) as _invocation,
        {{ adapter.quote(model.config.meta.day) }} as _day
        {%- for column in changed.key %},
        {{ adapter.quote(column) }}
        {%- endfor %}
    from {{ rows }}
    where false
{%- endmacro %}

{#- The statement that notes the keys of which rows differ between the days that are there and those that replace them,
    as multisets, in the columns that a reader names. A row that moves to another day is gone from one and new on the
    other.
    old, new: the rows, each as a relation or a subquery with an alias. -#}
{% macro insert_changed_keys(changed, old, new) -%}
    {%- set day = adapter.quote(model.config.meta.day) -%}
    {%- set names = [day] -%}
    {%- for column in changed.compared if adapter.quote(column) not in names -%}
        {%- do names.append(adapter.quote(column)) -%}
    {%- endfor -%}
    {%- set columns = names | join(', ') -%}
    insert into {{ changed.relation }} (_invocation, _day{% for column in changed.key %}, {{ adapter.quote(column) }}{% endfor %})
    select distinct
        '{{ invocation_id }}' as _invocation,
        {{ day }} as _day
        {%- for column in changed.key %},
        {{ adapter.quote(column) }}
        {%- endfor %}
    from (
        select {{ columns }}
        from (
            select {{ columns }}, 1 as _copies from {{ new }}
            union all
            select {{ columns }}, -1 as _copies from {{ old }}
        ) as rows_of_both
        group by {{ columns }}
        having sum(_copies) != 0
    ) as differences
    where
        {% for column in changed.key -%}
        {{ adapter.quote(column) }} is not null
        {{- ' and ' if not loop.last }}
        {%- endfor %}
{%- endmacro %}

{#- The statement that notes all keys as changed, for a table that is made newly: a row without a day. -#}
{% macro insert_all_keys(changed) -%}
    insert into {{ changed.relation }} (_invocation) values ('{{ invocation_id }}')
{%- endmacro %}

{#- On DuckDB, before the days are replaced, in the same transaction; those that have no partition any more, too. -#}
{% macro duckdb_changed_keys(target, source, dest_columns) -%}
    {%- set day = model.config.meta.day -%}
    {%- set old -%}
    (select * from {{ target }} where ({{ in_window(day) }}) or {{ without_partition(day) }}) as old_rows
    {%- endset -%}
    {%- for changed in tables_of_changed_keys(dest_columns | map(attribute='name') | list) %}
    {{ create_changed_keys(changed, target) }};
    {{ insert_changed_keys(changed, old, source) }};
    {% endfor -%}
{%- endmacro %}

{#- On DuckDB, after a table was made newly, in the same transaction.
    compiled_code: the query that it was made of. -#}
{% macro duckdb_all_keys_changed(relation, compiled_code) -%}
    {%- set columns = get_column_schema_from_query(compiled_code) | map(attribute='name') | list if is_read_by_key() else [] -%}
    {%- for changed in tables_of_changed_keys(columns) %};
    {{ create_changed_keys(changed, relation) }};
    {{ insert_all_keys(changed) }}
    {%- endfor -%}
{%- endmacro %}

{#- On BigQuery, jobs of their own before the days are replaced, since a statement there is a transaction: a run that
    dies in between has noted keys that have not changed, and never the reverse.
    new: the rows of the window, as a table: what is noted and what is written must be the same rows.
    old: the table that holds the days now, or none. columns: the names of the model's columns. -#}
{% macro bigquery_note_changed_keys(new, old, columns) -%}
    {%- set day = adapter.quote(model.config.meta.day) -%}
    {%- for changed in tables_of_changed_keys(columns) -%}
        {%- call statement('make_table_of_changed_keys') -%}
            {{ create_changed_keys(changed, new) }}
        {%- endcall -%}
        {%- call statement('note_changed_keys') -%}
            {%- if old -%}
                {{ insert_changed_keys(
                    changed, '(select * from ' ~ old ~ ' where ' ~ in_window(day) ~ ') as old_rows', new
                ) }}
            {%- else -%}
                {{ insert_all_keys(changed) }}
            {%- endif -%}
        {%- endcall -%}
    {%- endfor -%}
{%- endmacro %}
