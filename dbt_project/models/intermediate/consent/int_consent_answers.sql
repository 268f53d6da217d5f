with events as (
    -- The day before, too: an answer after midnight belongs to a question before it.
    select * from {{ ref('stg_consent_events') }}
    where
        {{ in_window('event_date', of='stg_consent_events') }}
        and event_type in ('consent.asked', 'consent.given')
),

keyed as (
    select
        *,
        event_type = 'consent.given' as is_given,
        user_id is not null as is_by_user,
        -- Without a person, the best key that there is: the same device, seen from the same place.
        case
            when user_id is not null then concat('user ', user_id)
            else concat(
                'device ', coalesce(deployment_id, ''), '|', coalesce(domain, ''), '|', coalesce(sdk_type, ''), '|',
                coalesce(country_codes, ''), '|', coalesce(region_codes, ''), '|', coalesce(browser_family, ''), '|',
                coalesce(device_type, '')
            )
        end as pair_key
    from events
),

with_the_question as (
    select
        *,
        max(case when not is_given then event_at end) over (
            partition by company_id, pair_key order by event_at, is_given, event_id
            rows between unbounded preceding and 1 preceding
        ) as asked_at,
        max(case when is_given then event_at end) over (
            partition by company_id, pair_key order by event_at, is_given, event_id
            rows between unbounded preceding and 1 preceding
        ) as answered_before_at
    from keyed
),

timed as (
    select
        *,
        -- A question is answered once: by the first answer after it.
        case
            when answered_before_at is null or answered_before_at < asked_at
                then {{ milliseconds_between('asked_at', 'event_at') }}
        end as milliseconds_since_asked,
        {{ milliseconds_between('consent_created_at', 'consent_updated_at') }} as milliseconds_since_created
    from with_the_question
    where is_given and {{ in_window('event_date') }}
),

final as (
    select
        event_id,
        company_id,

        {{ first_code('country_codes') }} as country_code,

        case
            when milliseconds_since_asked <= {{ var('consent_pair_minutes') }} * 60000
                then cast(milliseconds_since_asked / 1000 as {{ type_amount() }})
        end as seconds_asked_to_given,
        case
            when milliseconds_since_created between 0 and {{ var('consent_pair_minutes') }} * 60000
                then cast(milliseconds_since_created / 1000 as {{ type_amount() }})
        end as seconds_created_to_updated,

        is_by_user,

        event_date
    from timed
)

select * from final
