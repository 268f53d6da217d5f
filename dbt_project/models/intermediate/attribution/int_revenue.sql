with revenue as (
    select * from {{ ref('stg_revenue_and_rewards') }}
    where {{ in_window('revenue_date') }}
),

users as (
    select * from {{ newest_users(by_key('stg_users')) }} as newest_versions
),

final as (
    select
        revenue.user_id,

        coalesce(users.channel, 'unknown') as channel,
        coalesce(users.campaign, 'unknown') as campaign,

        revenue.revenue,
        revenue.reward,
        cast({{ days_between('users.install_date', 'revenue.revenue_date') }} as {{ type_count() }}) as age_days,
        revenue.repeat_number,

        users.user_id is not null as is_known_user,

        revenue.paid_at,
        users.install_date,
        revenue.revenue_date
    from revenue
    left join users on revenue.user_id = users.user_id and revenue.revenue_date = users._for_day
)

select * from final
