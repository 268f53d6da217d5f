with source_users as (
    select * from {{ ref('src_users') }}
    where {{ in_window('install_date') }} and duplicate_rank = 1
),

final as (
    select
        user_id,

        {{ channel_name('channel') }} as channel,
        {{ campaign_name('campaign') }} as campaign,
        record_source,
        region,

        installed_at,
        created_at,
        updated_at,
        landed_at,
        install_date
    from source_users
)

select * from final
