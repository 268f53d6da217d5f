with users as (
    select * from {{ ref('stg_users') }}
    where {{ in_window('install_date') }}
),

versions as (
    -- All days on which a user was said to have installed.
    select
        user_id,
        install_date,
        row_number() over (partition by user_id order by updated_at desc, install_date desc) as version_rank
    from {{ ref('stg_users') }}
),

final as (
    select
        users.user_id,

        users.channel,
        users.campaign,

        versions.version_rank = 1 as is_current,

        users.installed_at,
        users.created_at,
        users.updated_at,
        users.install_date
    from users
    inner join versions on users.user_id = versions.user_id and users.install_date = versions.install_date
)

select * from final
