{%- set longest_gap = session_gap_seconds() -%}

{#- Each step reads the events by itself. What is named twice DuckDB keeps in memory, whole: of 20 million events, twice
    the time. -#}
{%- set events = ref('stg_clickstream_incremental') -%}
{#- The day before, too: a session may have begun there. -#}
{%- set is_of_a_customer -%}
    customer_id is not null and {{ in_window('event_date', of='stg_clickstream_incremental') }}
{%- endset -%}

with of_customers as (
    select * from {{ events }} where {{ is_of_a_customer | trim }}
),

without_customer as (
    select * from {{ events }}
    where customer_id is null and {{ in_window('event_date') }}
),

-- Few have as many events in a day as a covered day takes: the gaps of the others are never looked at.
busy_days as (
    select
        customer_id,
        event_date
    from {{ events }}
    where {{ is_of_a_customer | trim }}
    group by customer_id, event_date
    having
        (count(*) + 1) * {{ longest_gap }} >= 24 * 60 * 60
        and min(event_timestamp) <= {{ plus_seconds('cast(event_date as timestamp)', longest_gap) }}
        and {{ plus_seconds('max(event_timestamp)', longest_gap) }} >= {{ plus_seconds('cast(event_date as timestamp)', 24 * 60 * 60) }}
),

events_of_busy_days as (
    select
        events.customer_id,
        events.event_date,
        events.device,
        events.event_timestamp,
        coalesce(
            lag(events.event_timestamp) over (
                partition by events.customer_id, events.event_date order by events.event_timestamp, events.event_id
            ),
            cast(events.event_date as timestamp)
        ) as previous_at
    from {{ events }} as events
    inner join busy_days on events.customer_id = busy_days.customer_id and events.event_date = busy_days.event_date
    where {{ in_window('events.event_date', of='stg_clickstream_incremental') }}
),

covered_days as (
    -- Days on which a customer is never idle for longer than the gap, both midnights counted as edges; before the second
    -- one for the longest gap, since the device of the next event is that of another day. Such a day ends
    -- its session: else what never sleeps would be one session for ever, and each day would depend on all before it.
    select
        customer_id,
        event_date as covered_date
    from events_of_busy_days
    group by customer_id, event_date
    having max(case when event_timestamp > {{ plus_seconds('previous_at', session_gap_seconds('device')) }} then 1 else 0 end) = 0
),

in_order as (
    select
        *,
        lag(event_timestamp) over its_order as previous_at,
        row_number() over its_order as row_number_of_customer
    from of_customers
    window its_order as (partition by customer_id order by event_timestamp, event_id)
),

with_covered_days as (
    select
        in_order.*,
        covered_days.covered_date is not null as is_day_covered,
        -- The first event that is read of a customer counts as a beginning. Where that is wrong, because the session
        -- goes back to the day before, it is an event of the day before the window, and not in the result: a session
        -- that runs into a day began after the last break of the day before, or that day is covered and ends it.
        in_order.previous_at is null
        or in_order.event_timestamp > {{ plus_seconds('in_order.previous_at', session_gap_seconds('in_order.device')) }}
        or (cast(in_order.previous_at as date) < in_order.event_date and previous_covered_days.covered_date is not null)
            as is_first_of_session
    from in_order
    left join covered_days
        on in_order.customer_id = covered_days.customer_id and in_order.event_date = covered_days.covered_date
    left join covered_days as previous_covered_days
        on
            in_order.customer_id = previous_covered_days.customer_id
            and cast(in_order.previous_at as date) = previous_covered_days.covered_date
),

with_sessions as (
    select
        *,
        last_value(case when is_first_of_session then event_id end ignore nulls) over so_far as session_id,
        last_value(case when is_first_of_session then event_timestamp end ignore nulls) over so_far as session_start_at,
        last_value(case when is_first_of_session then row_number_of_customer end ignore nulls) over so_far as row_number_of_first
    from with_covered_days
    window so_far as (
        partition by customer_id order by event_timestamp, event_id rows between unbounded preceding and current row
    )
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
    from without_customer
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
