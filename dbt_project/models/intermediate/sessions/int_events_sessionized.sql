{%- set gap = var('session_gap_minutes') -%}

with events as (
    -- The day before, too: a session may have begun there.
    select * from {{ ref('stg_clickstream_incremental') }}
    where {{ in_window('event_date', of='stg_clickstream_incremental') }}
),

of_customers as (
    select
        *,
        lag(event_timestamp) over (partition by customer_id order by event_timestamp, event_id) as previous_at,
        lag(event_date) over (partition by customer_id order by event_timestamp, event_id) as previous_date,
        row_number() over (partition by customer_id order by event_timestamp, event_id) as row_number_of_customer
    from events
    where customer_id is not null
),

covered_days as (
    -- Days on which a customer is never idle for longer than the gap, both midnights counted as edges. Such a day ends
    -- its session: else what never sleeps would be one session for ever, and each day would depend on all before it.
    select
        customer_id,
        event_date as covered_date
    from of_customers
    group by customer_id, event_date
    having
        min(event_timestamp) <= {{ plus_minutes('cast(event_date as timestamp)', gap) }}
        and {{ plus_minutes('max(event_timestamp)', gap) }} >= {{ plus_minutes('cast(event_date as timestamp)', 24 * 60) }}
        and max(
            case when previous_date = event_date and event_timestamp > {{ plus_minutes('previous_at', gap) }} then 1 else 0 end
        ) = 0
),

with_covered_days as (
    select
        of_customers.*,
        covered_days.covered_date is not null as is_day_covered,
        -- The first event that is read of a customer counts as a beginning. Where that is wrong, because the session
        -- goes back to the day before, it is an event of the day before the window, and not in the result: a session
        -- that runs into a day began after the last break of the day before, or that day is covered and ends it.
        of_customers.previous_at is null
        or of_customers.event_timestamp > {{ plus_minutes('of_customers.previous_at', gap) }}
        or (of_customers.previous_date < of_customers.event_date and previous_covered_days.covered_date is not null)
            as is_first_of_session
    from of_customers
    left join covered_days
        on of_customers.customer_id = covered_days.customer_id and of_customers.event_date = covered_days.covered_date
    left join covered_days as previous_covered_days
        on
            of_customers.customer_id = previous_covered_days.customer_id
            and of_customers.previous_date = previous_covered_days.covered_date
),

with_sessions as (
    select
        *,
        last_value(case when is_first_of_session then event_id end ignore nulls) over (
            partition by customer_id order by event_timestamp, event_id
            rows between unbounded preceding and current row
        ) as session_id,
        last_value(case when is_first_of_session then event_timestamp end ignore nulls) over (
            partition by customer_id order by event_timestamp, event_id
            rows between unbounded preceding and current row
        ) as session_start_at,
        last_value(case when is_first_of_session then row_number_of_customer end ignore nulls) over (
            partition by customer_id order by event_timestamp, event_id
            rows between unbounded preceding and current row
        ) as row_number_of_first
    from with_covered_days
),

of_all as (
    select
        event_id,
        customer_id,
        session_id,
        event_type,
        page_type,
        device,
        event_details,
        row_number_of_customer - row_number_of_first + 1 as event_number,
        is_late,
        is_day_covered,
        event_timestamp,
        session_start_at,
        event_date
    from with_sessions
    where {{ in_window('event_date') }}
    union all
    select
        event_id,
        customer_id,
        null as session_id,
        event_type,
        page_type,
        device,
        event_details,
        null as event_number,
        is_late,
        false as is_day_covered,
        event_timestamp,
        null as session_start_at,
        event_date
    from events
    where customer_id is null and {{ in_window('event_date') }}
),

final as (
    select
        event_id,
        customer_id,
        session_id,

        event_type,
        page_type,
        device,
        event_details,

        cast(event_number as {{ type_count() }}) as event_number,

        is_late,
        is_day_covered,

        event_timestamp,
        session_start_at,
        cast(session_start_at as date) as session_date,
        event_date
    from of_all
)

select * from final
