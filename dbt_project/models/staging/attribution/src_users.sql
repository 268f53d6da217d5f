{{ config(materialized='view') }}

with raw_users as (
    select * from {{ raw('users') }}
),

final as (
    select
        user_id,

        channel,
        campaign,
        'users' as record_source,
        cast(null as {{ type_text() }}) as region,

        installed_at,
        created_at,
        updated_at,
        _day as install_date,

        {{ duplicate_rank('users') }} as duplicate_rank,
        _extra as extra_columns,
        _source_file as source_file,
        _source_row as source_row,
        _landed_at as landed_at
    from raw_users
)

select * from final
