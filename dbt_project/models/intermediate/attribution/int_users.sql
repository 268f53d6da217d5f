with users as (
    select * from {{ ref('stg_users') }}
    where {{ in_window('install_date') }}
),

newest as (
    select * from {{ newest_users(by_key('stg_users')) }} as newest_versions
),

final as (
    select
        users.user_id,

        users.channel,
        users.campaign,

        users.install_date = newest.install_date as is_current,

        users.installed_at,
        users.created_at,
        users.updated_at,
        users.install_date
    from users
    inner join newest on users.user_id = newest.user_id and users.install_date = newest._for_day
)

select * from final
