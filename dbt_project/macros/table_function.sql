{#-
  Table functions: queries with arguments, for figures over a span that nobody can name beforehand. Like a view, one
  holds no rows, and its model has no day. It says in its config:

    materialized='table_function', parameters={'<name>': '<type>'}

  dbt-duckdb brings this materialization, and takes the names alone. For BigQuery it is here.
-#}
{% materialization table_function, adapter='bigquery' %}
    {{ run_hooks(pre_hooks) }}
    {%- call statement('main') -%}
        create or replace table function {{ this }}(
            {%- for name, type in config.get('parameters').items() %}{{ name }} {{ type }}{{ ', ' if not loop.last }}{% endfor -%}
        ) as (
        {{ sql }}
        )
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': []}) }}
{% endmaterialization %}

{#- An argument of the model's table function. A unit test, which runs the query alone, gives its value as the variable
    `argument_<name>`. The query must have no column of that name: it would not be clear which of the two is meant. -#}
{% macro argument(name) -%}
    {{ var('argument_' ~ name, name) }}
{%- endmacro %}
