{#- In production a layer is a schema (staging, marts, …); a developer has one schema for everything. Datasets are named
    in their whole project, so that on BigQuery the name of a layer stands behind one that the settings give. -#}
{% macro generate_schema_name(custom_schema_name, node=none) -%}
    {%- if target.name == 'prod' and custom_schema_name -%}
        {{ adapter.dispatch('schema_of_layer')(custom_schema_name | trim) }}
    {%- else -%}
        {{ target.schema }}
    {%- endif -%}
{%- endmacro %}

{% macro default__schema_of_layer(layer) -%}{{ layer }}{%- endmacro %}

{% macro bigquery__schema_of_layer(layer) -%}{{ target.schema }}_{{ layer }}{%- endmacro %}
