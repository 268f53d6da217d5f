{#- Channels and campaigns as all files write them: in small letters, without blanks around them. What the user or the
    touch of a row does not name is told in a word, so that sums by channel and campaign lose nothing. What is of no
    channel at all stands under `unattributed`, so that a channel of a file cannot have that name. -#}
{% macro channel_name(column) -%}
    coalesce(nullif(lower({{ trimmed(column) }}), 'unattributed'), 'unknown')
{%- endmacro %}

{% macro campaign_name(column) -%}
    coalesce(lower({{ trimmed(column) }}), 'none')
{%- endmacro %}

{#- The code of a currency as stg_exchange_rates has it: in capitals, without blanks around it.
    text: the code as a variable says it. -#}
{% macro currency_code(text) -%}
    {{ return(text | string | trim | upper) }}
{%- endmacro %}

{#- The newest version, over all days of install, of each user who occurs in the rows of the model's days: one row a day of
    the model and user, to be joined by `_for_day` and `user_id`.
    versions: stg_users, by key. -#}
{% macro newest_users(versions) -%}
    (
        select * from (
            select
                *,
                row_number() over (
                    partition by _for_day, user_id order by updated_at desc nulls last, install_date desc
                ) as version_rank
            from {{ versions }} as all_versions
        ) as ranked_versions
        where version_rank = 1
    )
{%- endmacro %}

{#- What a channel or campaign did, as columns that add up, and their ratios. Each ratio is one of two sums, and null where
    the second is zero. A model that sums over days or channels calls this on its own sums: no ratio is averaged. -#}
{% macro performance() -%}
        cast(spend as {{ type_amount() }}) as spend,
        cast(impressions as {{ type_count() }}) as impressions,
        cast(clicks as {{ type_count() }}) as clicks,
        cast(installs as {{ type_count() }}) as installs,
        cast(users as {{ type_count() }}) as users,
        cast(installs - users as {{ type_count() }}) as installs_less_users,
        cast(touchpoints as {{ type_count() }}) as touchpoints,
        cast(orphan_touchpoints as {{ type_count() }}) as orphan_touchpoints,
        cast(conversions as {{ type_count() }}) as conversions,
        cast(revenue as {{ type_amount() }}) as revenue,
        cast(rewards as {{ type_amount() }}) as rewards,
        cast(rewards_original as {{ type_amount() }}) as rewards_original,
        cast(rewards_without_rate as {{ type_count() }}) as rewards_without_rate,
        cast(revenue - rewards as {{ type_amount() }}) as margin,
        {{ ratio('1000 * spend', 'impressions') }} as cpm,
        {{ ratio('spend', 'clicks') }} as cpc,
        {{ ratio('clicks', 'impressions') }} as ctr,
        {{ ratio('spend', 'installs') }} as cpi,
        {{ ratio('spend', 'users') }} as cac,
        {{ ratio('revenue', 'spend') }} as roas
{%- endmacro %}

{#- The columns that `performance` reads, each with its type. -#}
{% macro performance_numbers() -%}
    {{ return({
        'spend': type_amount(),
        'impressions': type_count(),
        'clicks': type_count(),
        'installs': type_count(),
        'users': type_count(),
        'touchpoints': type_count(),
        'orphan_touchpoints': type_count(),
        'conversions': type_count(),
        'revenue': type_amount(),
        'rewards': type_amount(),
        'rewards_original': type_amount(),
        'rewards_without_rate': type_count(),
    }) }}
{%- endmacro %}

{#- The numbers of the rows of one model that stand below those of others: its own, and zero for those of the others.
    numbers: all of them, each with its type. own: each `number: expression` that the model has. -#}
{% macro numbers_or_zero(numbers, own) -%}
    {%- for name, type in numbers.items() %}
        cast({{ own.get(name, 0) }} as {{ type }}) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- The sums of some numbers. -#}
{% macro sums_of(numbers) -%}
    {%- for name in numbers %}
        sum({{ name }}) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
