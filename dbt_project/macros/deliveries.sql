{#- How rows that have no time of their own are read: they stand on the day of their delivery, and of a key, what its newest
    delivery says holds. -#}

{#- The rows of each key's newest delivery, as a subquery. A key may have many rows in one delivery, such as the lines of
    an order: all of them hold, and none of the deliveries before it.
    relation: a table, CTE or subquery. partition: the columns of the key; `_for_day` first, where rows were read for
    several days at once. day: the column that holds the day of the delivery. Rows that are withdrawn are taken out of
    what this gives: taken out before, they would bring back the delivery before them. -#}
{% macro newest_delivery(relation, partition, day) -%}
    (
        select *
        from {{ relation }}
        where true
        qualify rank() over (partition by {{ partition | join(', ') }} order by {{ day }} desc) = 1
    )
{%- endmacro %}

{#- The same of all days of a staging model, for views of how things stand now.
    name: of the model. -#}
{% macro newest_of_all_days(name, key, day) -%}
    {%- set deliveries -%}
    (select * from {{ ref(name) }} where {{ on_any_day(day) }}) as deliveries
    {%- endset -%}
    {{ newest_delivery(deliveries, key, day) }}
{%- endmacro %}

{#- The rows of a complete source, as a subquery: key, columns, day and `is_withdrawn`. That is false for its own rows. On
    the day of each delivery, there is one more row for each key of the delivery before it that it lacks, in which it is
    true and the columns are null. A day without rows is a day without a delivery: it withdraws nothing.
    rows: a CTE with the rows of the window. deliveries: a CTE with the keys of those days and of all days before that
    are read. key: the columns whose rows hold together, as an order's lines do. columns: all others but the day. day: the
    column that holds the day. -#}
{% macro with_withdrawn(rows, deliveries, key, columns, day) -%}
    (
        select {{ (key + columns) | join(', ') }}, {{ day }}, false as is_withdrawn
        from {{ rows }}
        union all
        select
            {{ key | join(', ') }},
            {% for column in columns -%}
            null as {{ column }},
            {% endfor -%}
            {{ day }},
            true as is_withdrawn
        from (
            select
                {% for column in key -%}
                earlier.{{ column }},
                {% endfor -%}
                next_days.next_day as {{ day }}
            from {{ deliveries }} as earlier
            inner join (
                select {{ day }}, lead({{ day }}) over (order by {{ day }}) as next_day
                from (select distinct {{ day }} from {{ deliveries }}) as days
            ) as next_days on earlier.{{ day }} = next_days.{{ day }}
            where {{ in_window('next_days.next_day') }}
            {{ except() }}
            select {{ key | join(', ') }}, {{ day }}
            from {{ deliveries }}
            where {{ in_window(day) }}
        ) as lacking
    )
{%- endmacro %}
