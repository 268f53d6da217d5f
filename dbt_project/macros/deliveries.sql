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

{#- The rows of a complete source, as a subquery, with the column `is_withdrawn`: its own rows, where it is false, and on
    the day of each delivery one more row for each key of the delivery before it that it lacks. Of such a row, only key
    and day are not null. A day without rows is a day without a delivery: it withdraws nothing.
    rows: a CTE with the rows of the window. deliveries: a CTE with the keys of those days and of all days before that
    are read. key: the columns whose rows hold together, as an order's lines do. day: the column that holds the day. -#}
{% macro with_withdrawn(rows, deliveries, key, day) -%}
    {%- set columns = key | join(', ') -%}
    (
        select *
        from (select *, false as is_withdrawn from {{ rows }}) as delivered
        {#- No two rows meet, since is_withdrawn differs: the join puts the two below each other by the names of columns. #}
        full outer join (
            select *, true as is_withdrawn
            from (
                select {{ columns }}, next_day as {{ day }}
                from {{ deliveries }}
                inner join (
                    select {{ day }}, lead({{ day }}) over (order by {{ day }}) as next_day
                    from (select distinct {{ day }} from {{ deliveries }}) as days
                ) as next_days using ({{ day }})
                where {{ in_window('next_day') }}
                {{ except() }}
                select {{ columns }}, {{ day }}
                from {{ deliveries }}
                where {{ in_window(day) }}
            ) as lacking
        ) as withdrawn using ({{ columns }}, {{ day }}, is_withdrawn)
    )
{%- endmacro %}
