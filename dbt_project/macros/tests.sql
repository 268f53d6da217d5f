{#- Generic tests. Each looks only at the window, through get_where_subquery in window.sql. -#}

{#- Nothing lost: the days that do not add up, by what the model's meta says under `adds_up`:
      rows_of_raw: as many rows a day as the raw days of that source;
      keys_of_raw: as many rows a day as the raw days of that source have keys;
      rows_of: as many rows a day as that model, or, with `where`, as many as it has of those;
      measures_of + measures: for each `column: upstream column`, the same sum a day as in that model.
    Where rows count on another day than they stand on, `counted_on` names the upstream column that holds the day on
    which they count; the upstream days that are read are those of meta.window. -#}
{% test adds_up(model) %}
    {%- if not execute -%}
        select 1 as placeholder
    {%- else -%}
        {%- set meta = tested_node().config.meta -%}
        {%- set rule = meta.adds_up -%}
        {%- set measures = rule.get('measures', {}) -%}
        {%- set source_name = rule.get('rows_of_raw') or rule.get('keys_of_raw') -%}
        {%- if source_name -%}
            {%- set upstream, upstream_day = raw(source_name), '_day' -%}
        {%- else -%}
            {%- set node = model_node(rule.get('rows_of') or rule.measures_of) -%}
            {%- set upstream, upstream_day = node.relation_name, node.config.meta.day -%}
        {%- endif -%}
        {%- set counted_on = rule.get('counted_on', upstream_day) -%}
        {%- set offsets = meta.get('window', {}).get(rule.get('measures_of') or rule.get('rows_of'), [0, 0]) if rule.get('counted_on') else [0, 0] -%}
        with here as (
            select
                {{ meta.day }} as the_day,
                count(*) as row_count
                {%- for column in measures %},
                sum({{ column }}) as sum_{{ loop.index }}
                {%- endfor %}
            from {{ model }}
            group by {{ meta.day }}
        ),

        upstream as (
            select
                {{ counted_on }} as the_day,
                {% if rule.get('keys_of_raw') -%}
                {%- set key = var('sources')[source_name].key -%}
                count(distinct {{ adapter.quote(key[0]) if key | length == 1 else row_hash(key) }}) as row_count
                {%- else -%}
                count(*) as row_count
                {%- endif -%}
                {%- for column in measures.values() %},
                sum({{ column }}) as sum_{{ loop.index }}
                {%- endfor %}
            from {{ upstream }}
            where
                {{ upstream_day }} >= {{ window_edge('window_start', offsets[0]) }}
                and {{ upstream_day }} < {{ window_edge('window_end', offsets[1]) }}
                and {{ in_window(counted_on) }} and {{ rule.get('where', 'true') }}
            group by {{ counted_on }}
        ),

        compared as (
            select
                coalesce(here.the_day, upstream.the_day) as the_day,
                {% if measures -%}
                {%- for column in measures -%}
                coalesce(here.sum_{{ loop.index }}, 0) as {{ column }},
                coalesce(upstream.sum_{{ loop.index }}, 0) as {{ column }}_upstream{{ ',' if not loop.last }}
                {% endfor -%}
                {%- else -%}
                coalesce(here.row_count, 0) as row_count,
                coalesce(upstream.row_count, 0) as row_count_upstream
                {%- endif %}
            from here
            full outer join upstream on here.the_day = upstream.the_day
        )

        select *
        from compared
        where
            {% for column in measures or ['row_count'] -%}
            {{ column }} != {{ column }}_upstream
            {{ 'or ' if not loop.last }}
            {%- endfor %}
    {%- endif -%}
{% endtest %}

{#- The node of the model that the current test is attached to. -#}
{% macro tested_node() -%}
    {{ return(graph.nodes[model.attached_node]) }}
{%- endmacro %}

{#- The node of a model, by its name. -#}
{% macro model_node(name) -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name == name -%}
        {{ return(node) }}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error('there is no model ' ~ name) }}
{%- endmacro %}

{#- The columns together are unique within a run's window. -#}
{% test unique_together(model, columns) %}
    select
        {{ columns | join(', ') }},
        count(*) as copies
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}

{#- dbt's own test, but with the days on which a column is null. -#}
{% test not_null(model, column_name) %}
    {%- set day = tested_node().config.meta.get('day') if execute else none -%}
    select
        {% if day -%}
        {{ day }} as the_day,
        {% endif -%}
        count(*) as rows_without_it
    from {{ model }}
    where {{ column_name }} is null
    {% if day -%}
    group by {{ day }}
    {%- else -%}
    having count(*) > 0
    {%- endif %}
{% endtest %}

{#- Days with rows of which an expression is false or null. -#}
{% test expression_is_true(model, expression) %}
    {%- if not execute -%}
        select 1 as placeholder
    {%- else -%}
        {%- set day = tested_node().config.meta.day -%}
        select
            {{ day }} as the_day,
            count(*) as rows_that_differ
        from {{ model }}
        where not coalesce({{ expression }}, false)
        group by {{ day }}
    {%- endif -%}
{% endtest %}

{#- A key stands on one day only: the keys of the window that also stand on another day, up to `days` before or after.
    Deduplication is within a day, so an event that is delivered again with another time stays twice; this tells of it.
    The span bounds what a run reads: a day costs a day, whatever the history. -#}
{% test key_on_one_day(model, key, days=7) %}
    {%- if not execute -%}
        select 1 as placeholder
    {%- else -%}
        {%- set day = tested_node().config.meta.day -%}
        with here as (
            select * from {{ model }}
        )

        select
            here.{{ key }},
            here.{{ day }},
            there.{{ day }} as other_day
        from here
        inner join {{ tested_node().relation_name }} as there
            on here.{{ key }} = there.{{ key }} and here.{{ day }} != there.{{ day }}
        where
            there.{{ day }} >= {{ window_edge('window_start', -days) }}
            and there.{{ day }} < {{ window_edge('window_end', days) }}
    {%- endif -%}
{% endtest %}
