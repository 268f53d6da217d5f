{#- Generic tests. Each looks only at the window, through get_where_subquery in window.sql. -#}

{#- Nothing lost: the days that do not add up, by what the model's meta says under `adds_up`:
      rows_of_raw: as many rows a day as the raw days of that source;
      keys_of_raw: as many rows a day as the raw days of that source have keys, in the newest versions of what is
        delivered as a whole; rows of a complete source that say that a key is withdrawn are not counted;
      rows_of: as many rows a day as that model, or, with `where`, as many as it has of those;
      measures_of + measures: for each `column: upstream column`, the same sum a day as in that model.
    Where rows count on another day than they stand on, `counted_on` names the upstream column that holds the day on
    which they count; the upstream days that are read are those of meta.reads. With `newest_delivery`, of a model that is
    read by key, those rows count whose key occurs in the driver's rows of the day: of each key, those of its newest day. -#}
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
            {%- set spec = spec_of(source_name) -%}
            {%- if rule.get('keys_of_raw') and spec.whole -%}
                {%- set upstream -%}
                (
                    select * from (
                        select *, {{ version_rank(spec) }} as version_rank
                        from {{ upstream }}
                        where {{ in_window('_day') }}
                    ) as versions
                    where version_rank = 1
                ) as newest_versions
                {%- endset -%}
            {%- endif -%}
        {%- else -%}
            {%- set node = model_node(rule.get('rows_of') or rule.measures_of) -%}
            {%- set upstream, upstream_day = node.relation_name, node.config.meta.day -%}
            {%- set reads = meta.get('reads', []) | selectattr('model', 'eq', node.name) | selectattr('key', 'defined') | list -%}
            {%- if reads and rule.get('newest_delivery') -%}
                {%- set upstream, upstream_day = newest_by_key(node, reads[0]), 'for_day' -%}
            {%- endif -%}
        {%- endif -%}
        {%- set counted_on = rule.get('counted_on', upstream_day) -%}
        {%- set offsets = days_read(meta, rule.get('measures_of') or rule.get('rows_of')) if rule.get('counted_on') else [0, 0] -%}
        with here as (
            select
                {{ meta.day }} as the_day,
                count(*) as row_count
                {%- for column in measures %},
                sum({{ column }}) as sum_{{ loop.index }}
                {%- endfor %}
            from {{ model }}
            {{ 'where not is_withdrawn' if rule.get('keys_of_raw') and spec.complete }}
            group by {{ meta.day }}
        ),

        upstream as (
            select
                {{ counted_on }} as the_day,
                {% if rule.get('keys_of_raw') -%}
                {%- set key = spec.primary_key -%}
                count(distinct {{ adapter.quote(key[0]) if key | length == 1 else row_hash(key) }}) as row_count
                {%- else -%}
                count(*) as row_count
                {%- endif -%}
                {%- for column in measures.values() %},
                sum({{ column }}) as sum_{{ loop.index }}
                {%- endfor %}
            from {{ upstream }}
            where
                {{ between_edges(upstream_day, offsets) }}
                and {{ in_window(counted_on) }} and ({{ rule.get('where', 'true') }})
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

{#- The rows of the newest day of each key that occurs in the driver's rows of a day of the window, once for each such day,
    with that day as `for_day`: what newest_delivery makes of by_key, said in another way.
    node: of the model. read: what meta.reads says of it. -#}
{% macro newest_by_key(node, read) -%}
    {%- set key, driver = as_list(read.key), model_node(read.of) -%}
    {%- set day, driver_day, days = node.config.meta.day, driver.config.meta.day, read.get('days', [0, 0]) -%}
    (
        select
            upstream.*,
            keys.for_day
        from {{ node.relation_name }} as upstream
        inner join (
            select distinct
                driver.{{ driver_day }} as for_day,
                driver.{{ key | join(', driver.') }}
            from {{ driver.relation_name }} as driver
            where {{ in_window('driver.' ~ driver_day) }}
        ) as keys
            on
                {% for column in key -%}
                upstream.{{ column }} = keys.{{ column }} and
                {% endfor -%}
                {% if days[0] is not none %}{{ days_between('keys.for_day', 'upstream.' ~ day) }} >= {{ days[0] }} and {% endif -%}
                {% if days[1] is not none %}{{ days_between('keys.for_day', 'upstream.' ~ day) }} <= {{ days[1] }} and {% endif -%}
                {{ between_edges('upstream.' ~ day, days) }}
        where true
        qualify rank() over (partition by keys.for_day, keys.{{ key | join(', keys.') }} order by upstream.{{ day }} desc) = 1
    ) as newest_by_key
{%- endmacro %}

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

{#- dbt's own test, but on the days of the window: keys that the other model does not hold, by day. Where that one has
    days, too, it must hold them on the same day. A row without a key points at nothing.
    column_name: the key. to: the other model or seed. It is made before this one, or some model reads it by this key of
      this one: the test then runs with that model, whose days are made again whenever one of the keys comes or goes.
    field: its column. on_any_day: whether the other model may hold the key on any day, as a user may have come on any.
      All its days are then looked at, since a key stands on no day that is known beforehand; of a row, its key alone. -#}
{% test relationships(model, column_name, to, field, on_any_day=false) %}
    {%- set day = tested_node().config.meta.get('day') if execute else none -%}
    {%- set day_there = day_column(to) if day and not on_any_day else none -%}
    {%- set any_day_there = day_column(to) if on_any_day else none -%}
    with here as (
        select
            {{ day ~ ' as the_day,' if day }}
            {{ column_name }} as key_here,
            count(*) as rows_without_it
        from {{ model }}
        where {{ column_name }} is not null
        group by {{ day ~ ', ' if day }}{{ column_name }}
    ),

    there as (
        select distinct
            {{ day_there ~ ' as day_there,' if day_there }}
            {{ field }} as key_there
        from {{ to }}
        {{ 'where ' ~ in_window(day_there) if day_there }}
        {{- 'where ' ~ between_edges(any_day_there, [none, none]) if any_day_there }}
    )

    select
        {{ 'here.the_day,' if day }}
        here.key_here as {{ column_name }},
        here.rows_without_it
    from here
    left join there
        on here.key_here = there.key_there{{ ' and here.the_day = there.day_there' if day_there }}
    where there.key_there is null
{% endtest %}

{#- Rows of which an expression is false or null, counted by day, where the model has days, and by some columns that
    tell what is the matter with them. -#}
{% test expression_is_true(model, expression, by=[]) %}
    {%- if not execute -%}
        select 1 as placeholder
    {%- else -%}
        {%- set day = tested_node().config.meta.get('day') -%}
        select
            {{ day ~ ' as the_day,' if day }}
            {% for column in by -%}
            {{ column }},
            {% endfor -%}
            count(*) as rows_that_differ
        from {{ model }}
        where not coalesce({{ expression }}, false)
        {% if day or by -%}
        group by {{ (([day] if day else []) + by) | join(', ') }}
        {%- else -%}
        having count(*) > 0
        {%- endif %}
    {%- endif -%}
{% endtest %}

{#- Rows that are the same in some columns (`by`) are the same in others (`columns`), too; those that are not, by day.
    by: the first of them is never null; only rows that share it with another are compared, which are few. -#}
{% test rows_agree(model, by, columns) %}
    {%- if not execute -%}
        select 1 as placeholder
    {%- else -%}
        {%- set day = tested_node().config.meta.day -%}
        select
            {{ day }} as the_day,
            {{ by | join(', ') }},
            count(distinct {{ row_hash(columns) }}) as different_rows
        from {{ model }}
        where
            {{ by[0] }} in (
                select {{ by[0] }} from {{ model }} group by {{ day }}, {{ by | join(', ') }} having count(*) > 1
            )
        group by {{ day }}, {{ by | join(', ') }}
        having count(distinct {{ row_hash(columns) }}) > 1
    {%- endif -%}
{% endtest %}

{#- Days of the window without any row: what should have come and did not. -#}
{% test rows_every_day(model) %}
    {%- if not execute -%}
        select 1 as placeholder
    {%- else -%}
        {%- set day = tested_node().config.meta.day -%}
        with here as (
            select distinct {{ day }} as the_day from {{ model }}
        )

        select
            days_of_window.the_day,
            0 as row_count
        from {{ days_of_window() }} as days_of_window
        left join here on days_of_window.the_day = here.the_day
        where here.the_day is null
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

{#- Days on which a sum is far from what the same weekdays before it held: by more than `deviations` robust standard
    deviations (1.4826 times the median absolute deviation, which is one standard deviation where values are normal;
    Rousseeuw and Croux 1993), and by more than `share` of their median. Only weekdays of the last `weeks` count that
    have rows; of fewer than four nothing is said. A day is not in its own baseline, and one without any rows is judged
    as zero.

    It looks back further than a day's rows may: a check may, since nothing is made from what it says. -#}
{% test usual_volume(model, column, weeks=8, deviations=3, share=0.3) %}
    {%- if not execute -%}
        select 1 as placeholder
    {%- else -%}
        {%- set day = tested_node().config.meta.day -%}
        with volumes as (
            select
                {{ day }} as the_day,
                sum({{ column }}) as volume
            from {{ tested_node().relation_name }}
            where
                {{ day }} >= {{ window_edge('window_start', -7 * weeks) }}
                and {{ day }} < {{ window_edge('window_end') }}
            group by {{ day }}
        ),

        weeks_before as (
            {% for week in range(1, weeks + 1) -%}
            select {{ 7 * week }} as days_before
            {{ 'union all' if not loop.last }}
            {% endfor %}
        ),

        baseline as (
            select
                days_of_window.the_day,
                volumes.volume
            from {{ days_of_window() }} as days_of_window
            cross join weeks_before
            inner join volumes on volumes.the_day = {{ minus_days('days_of_window.the_day', 'weeks_before.days_before') }}
        ),

        medians as (
            select
                the_day,
                {{ median('volume') }} as usual_volume
            from baseline
            group by the_day
            having count(*) >= 4
        ),

        spreads as (
            select
                medians.the_day,
                medians.usual_volume,
                1.4826 * {{ median('abs(baseline.volume - medians.usual_volume)') }} as usual_deviation
            from medians
            inner join baseline on medians.the_day = baseline.the_day
            group by medians.the_day, medians.usual_volume
        )

        select
            spreads.the_day,
            round({{ as_ratio('coalesce(volumes.volume, 0)') }}, 1) as {{ 'row_count' if column == '1' else column }},
            round({{ as_ratio('spreads.usual_volume') }}, 1) as usually,
            case
                when coalesce(volumes.volume, 0) < spreads.usual_volume
                    then 'far less than on the same weekdays of the {{ weeks }} weeks before; is a file missing or cut?'
                else 'far more than on the same weekdays of the {{ weeks }} weeks before; did a file come twice?'
            end as why
        from spreads
        left join volumes on spreads.the_day = volumes.the_day
        where
            abs(coalesce(volumes.volume, 0) - spreads.usual_volume)
            > greatest({{ deviations }} * spreads.usual_deviation, {{ share }} * spreads.usual_volume)
    {%- endif -%}
{% endtest %}

{#- Some sums are, day by day, those of another model on the same day; for a model that is made from several, of which
    meta.adds_up names one.
    to: the other model, one that is made before this one. measures: each `column: column of the other model`.
    of_rows: which rows of the other model count. newest_delivery: those count, of a model that is read by key, whose key
    occurs in the driver's rows of the day: of each key, those of its newest day. group, groups: a column and all of its values, if the rows of each
    value have the sums by themselves, as where each tells the same whole in its own way; rows without one do not
    count. -#}
{% test same_sums(model, to, measures, of_rows='true', newest_delivery=false, group=none, groups=[]) %}
    {%- if not execute -%}
        select 1 as placeholder
    {%- else -%}
        {%- set meta = tested_node().config.meta -%}
        {%- set day, read = meta.day, {'rows': to, 'day': day_column(to)} -%}
        {%- for by_key in meta.get('reads', []) if newest_delivery and by_key.get('key') and model_node(by_key.model).alias == to.identifier -%}
            {%- do read.update(rows=newest_by_key(model_node(by_key.model), by_key), day='for_day') -%}
        {%- endfor -%}
        {%- set day_there = read.day -%}
        with {% if group -%}
        all_groups as (
            {% for name in groups -%}
            select '{{ name }}' as the_group
            {{ 'union all' if not loop.last }}
            {% endfor %}
        ),

        {% endif -%}
        here as (
            select
                {{ day }} as the_day
                {{- ', ' ~ group ~ ' as the_group' if group }}
                {%- for column in measures %},
                sum({{ column }}) as sum_{{ loop.index }}
                {%- endfor %}
            from {{ model }}
            {{ 'where ' ~ group ~ ' is not null' if group }}
            group by {{ day }}{{ ', ' ~ group if group }}
        ),

        there as (
            select
                {{ day_there }} as the_day
                {{- ', all_groups.the_group' if group }}
                {%- for column in measures.values() %},
                sum({{ column }}) as sum_{{ loop.index }}
                {%- endfor %}
            from {{ read.rows }}
            {{ 'cross join all_groups' if group }}
            where {{ in_window(day_there) }} and ({{ of_rows }})
            group by {{ day_there }}{{ ', all_groups.the_group' if group }}
        ),

        compared as (
            select
                coalesce(here.the_day, there.the_day) as the_day
                {{- ', coalesce(here.the_group, there.the_group) as ' ~ group if group }}
                {%- for column in measures %},
                coalesce(here.sum_{{ loop.index }}, 0) as {{ column }},
                coalesce(there.sum_{{ loop.index }}, 0) as {{ column }}_there
                {%- endfor %}
            from here
            full outer join there on here.the_day = there.the_day{{ ' and here.the_group = there.the_group' if group }}
        )

        select *
        from compared
        where
            {% for column in measures -%}
            {{ column }} != {{ column }}_there
            {{ 'or ' if not loop.last }}
            {%- endfor %}
    {%- endif -%}
{% endtest %}
