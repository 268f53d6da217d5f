{#-
  How BigQuery keeps a model's days: a table with a partition a day, of which a run replaces those of its window in one
  statement. dbt-bigquery's own `incremental` takes the list of partitions from the model's config, which keeps what it
  was parsed with, and writes each run's rows twice, to see whether there are new columns.

  The partition is the column of `meta.day`. What else a model says in its config: cluster_by, as its readers filter;
  require_partition_filter, where every reader names days.
-#}
{% materialization incremental, adapter='bigquery' -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set rows = held_to_window(compiled_code) -%}
    {{ run_hooks(pre_hooks) }}
    {%- set is_new, is_read = load_cached_relation(this) is none, is_read_by_key() -%}
    {%- set new_rows = this.incorporate(path={'identifier': model.alias ~ '__new_rows'}) -%}
    {%- if is_read -%}
        {%- call statement('new_rows') -%}
            create or replace table {{ new_rows }} as {{ rows }}
        {%- endcall -%}
        {%- set rows = 'select * from ' ~ new_rows -%}
    {%- endif -%}
    {%- if is_new -%}
        {%- if is_read -%}
            {%- do bigquery_note_changed_keys(new_rows, none, get_column_schema_from_query(rows) | map(attribute='name') | list) -%}
        {%- endif -%}
        {%- call statement('main') -%}
            {{ create_partitioned(target_relation, rows) }}
        {%- endcall -%}
    {%- else -%}
        {%- do keep_expiration(target_relation) -%}
        {%- set columns = with_new_columns(target_relation, compiled_code) -%}
        {%- if is_read -%}
            {%- do bigquery_note_changed_keys(new_rows, target_relation, columns | map(attribute='name') | list) -%}
        {%- endif -%}
        {%- call statement('main') -%}
            {{ insert_overwrite(target_relation, rows, columns) }}
        {%- endcall -%}
    {%- endif -%}
    {%- if is_read -%}
        {%- call statement('drop_new_rows') -%}
            drop table if exists {{ new_rows }}
        {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}
    {%- do persist_docs(target_relation, model) -%}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}

{#- A new table of some rows, which are those of the window. -#}
{% macro create_partitioned(relation, rows) -%}
    create table {{ relation }}
    {% if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(rows) }}
        {{ get_table_columns_and_constraints() }}
    {%- endif %}
    partition by {{ adapter.quote(model.config.meta.day) }}
    {{ cluster_by(config.get('cluster_by')) }}
    {{ bigquery_table_options(config, model, False) }}
    as (
        {{ get_select_subquery(rows) if config.get('contract').enforced else rows }}
    )
{%- endmacro %}

{#- Some rows, of which the first that is of no day of the window fails the statement. Nothing is read twice for that,
    so that the others are not counted. -#}
{% macro held_to_window(rows) -%}
    {%- set day = model.config.meta.day -%}
    select * from (
        {{ rows }}
    ) as selected
    where if(
        {{ in_window(adapter.quote(day)) }},
        true,
        error({{ said_of_rows_outside(
            day, "coalesce(concat('of ', cast(" ~ adapter.quote(day) ~ " as string), ' at least'), 'without any " ~ day ~ "')"
        ) }})
    )
{%- endmacro %}

{#- Replaces the days of the window, those that have become empty, too; readers see all of it or nothing.
    columns: of the table, those that the rows have. -#}
{% macro insert_overwrite(relation, rows, columns) -%}
    {%- set day = adapter.quote(model.config.meta.day) -%}
    {{ get_insert_overwrite_merge_sql(
        relation, '(' ~ rows ~ ')', columns, ['DBT_INTERNAL_DEST.' ~ day ~ ' in (' ~ window_days() | join(', ') ~ ')']
    ) }}
{%- endmacro %}

{#- The columns of some rows, after those that the table lacks were added to it; nulls in the days that are there. -#}
{% macro with_new_columns(relation, rows) -%}
    {%- set columns = get_column_schema_from_query(rows) -%}
    {%- do see_that_contract_holds(columns, rows) -%}
    {%- set known = adapter.get_columns_in_relation(relation) | map(attribute='name') | map('lower') | list -%}
    {%- set lacking = [] -%}
    {%- for column in columns if column.name | lower not in known -%}
        {%- do lacking.append(column) -%}
    {%- endfor -%}
    {%- if lacking -%}
        {%- do alter_relation_add_remove_columns(relation, lacking, none) -%}
    {%- endif -%}
    {{ return(columns) }}
{%- endmacro %}

{#- Fails where the columns of some rows are not those of the model's contract; dbt asks for it only when it makes the
    table. Its own check, which costs two queries, is called for what it says, once there is something to say. -#}
{% macro see_that_contract_holds(columns, rows) -%}
    {%- if config.get('contract').enforced -%}
        {%- set made, said = {}, {} -%}
        {%- for column in columns -%}
            {%- do made.update({column.name | lower: column.data_type | lower}) -%}
        {%- endfor -%}
        {%- for name, column in model.columns.items() -%}
            {%- do said.update({name | lower: type_of(column.data_type) | lower}) -%}
        {%- endfor -%}
        {%- if made != said -%}
            {%- do get_assert_columns_equivalent(rows) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- Brings the age at which a table's days are deleted to what the settings say now, where they say one. -#}
{% macro keep_expiration(relation) -%}
    {%- set wanted = var('partition_expiration_days', none) -%}
    {%- set held = adapter.get_bq_table(relation).time_partitioning -%}
    {%- if wanted and (not held or held.expiration_ms != wanted * 86400000) -%}
        {%- call statement('expiration') -%}
            alter table {{ relation }} set options (partition_expiration_days = {{ wanted }})
        {%- endcall -%}
    {%- endif -%}
{%- endmacro %}

{#- What a table is made with beside its columns. dbt-bigquery asks these two for it; labels are those of the model's
    folders, so that costs can be told apart by them. -#}
{% macro bigquery_table_options(config, node, temporary) -%}
    {%- set options = adapter.get_table_options(config, node, temporary) -%}
    {%- if not temporary -%}
        {%- do options.update({'labels': labels_of(node)}) -%}
        {%- if config.get('materialized') == 'incremental' -%}
            {%- if config.get('require_partition_filter') -%}
                {%- do options.update({'require_partition_filter': true}) -%}
            {%- endif -%}
            {%- if var('partition_expiration_days', none) -%}
                {%- do options.update({'partition_expiration_days': var('partition_expiration_days')}) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(bigquery_options(options)) }}
{%- endmacro %}

{% macro bigquery_view_options(config, node) -%}
    {%- set options = adapter.get_view_options(config, node) -%}
    {%- do options.update({'labels': labels_of(node)}) -%}
    {{ return(bigquery_options(options)) }}
{%- endmacro %}

{% macro labels_of(node) -%}
    {%- set domain = node.fqn[-2] -%}
    {{ return([('layer', node.fqn[1] if node.resource_type == 'model' else 'lookups'), ('domain', domain)]) }}
{%- endmacro %}

{#- Contracts say DuckDB's types: their columns with BigQuery's, for the two macros in which dbt reads them. -#}
{% macro columns_with_own_types(columns) -%}
    {%- set found = {} -%}
    {%- for name, column in columns.items() -%}
        {%- do found.update({name: dict(column, data_type=type_of(column.data_type))}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{% macro bigquery__get_empty_schema_sql(columns) -%}
    {{ return(dbt.default__get_empty_schema_sql(columns_with_own_types(columns))) }}
{%- endmacro %}

{% macro bigquery__get_table_columns_and_constraints() -%}
    ({{ adapter.render_raw_columns_constraints(raw_columns=columns_with_own_types(model.columns)) | join(', ') }})
{%- endmacro %}
