{#- Channels and campaigns as all files write them: in small letters, without blanks around them. What the user or the
    touch of a row does not name is told in a word, so that sums by channel and campaign lose nothing. -#}
{% macro channel_name(column) -%}
    coalesce(lower({{ trimmed(column) }}), 'unknown')
{%- endmacro %}

{% macro campaign_name(column) -%}
    coalesce(lower({{ trimmed(column) }}), 'none')
{%- endmacro %}

{#- The newest version, over all days of install, of each user who occurs in the rows of the model's days: one row a day of
    the model and user. The model reads stg_users by user_id, and joins by `_for_day` and `user_id`. -#}
{% macro newest_users() -%}
    (
        select * from (
            select
                *,
                row_number() over (
                    partition by _for_day, user_id order by updated_at desc nulls last, install_date desc
                ) as version_rank
            from {{ by_key('stg_users') }} as all_versions
        ) as ranked_versions
        where version_rank = 1
    )
{%- endmacro %}

{#- What a channel or campaign did, as columns that add up, and their ratios. Each ratio is one of two sums, and null where
    the second is zero. A model that sums over days or channels calls this on its own sums: no ratio is averaged.
    from: the alias of what holds the sums. -#}
{% macro performance(from) -%}
        cast({{ from }}.spend as {{ type_amount() }}) as spend,
        cast({{ from }}.impressions as {{ type_count() }}) as impressions,
        cast({{ from }}.clicks as {{ type_count() }}) as clicks,
        cast({{ from }}.installs as {{ type_count() }}) as installs,
        cast({{ from }}.users as {{ type_count() }}) as users,
        cast({{ from }}.installs - {{ from }}.users as {{ type_count() }}) as installs_less_users,
        cast({{ from }}.touchpoints as {{ type_count() }}) as touchpoints,
        cast({{ from }}.orphan_touchpoints as {{ type_count() }}) as orphan_touchpoints,
        cast({{ from }}.conversions as {{ type_count() }}) as conversions,
        cast({{ from }}.revenue as {{ type_amount() }}) as revenue,
        cast({{ from }}.rewards as {{ type_amount() }}) as rewards,
        cast({{ from }}.revenue - {{ from }}.rewards as {{ type_amount() }}) as margin,
        {{ ratio('1000 * ' ~ from ~ '.spend', from ~ '.impressions') }} as cpm,
        {{ ratio(from ~ '.spend', from ~ '.clicks') }} as cpc,
        {{ ratio(from ~ '.clicks', from ~ '.impressions') }} as ctr,
        {{ ratio(from ~ '.spend', from ~ '.installs') }} as cpi,
        {{ ratio(from ~ '.spend', from ~ '.users') }} as cac,
        {{ ratio(from ~ '.revenue', from ~ '.spend') }} as roas
{%- endmacro %}

{#- The sums of those columns that `performance` reads. -#}
{% macro summed_performance() -%}
    {%- for name in ('spend', 'impressions', 'clicks', 'installs', 'users', 'touchpoints', 'orphan_touchpoints', 'conversions', 'revenue', 'rewards') %}
        sum({{ name }}) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
