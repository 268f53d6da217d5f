-- Sessions of a whole history, as one would write them for DuckDB alone: the two tables that
-- int_events_sessionized and mart_sessions are, from the same Parquet files. {raw} stands for those.

create table events as
select
    event_id, nullif(trim(customer_id), '') as customer_id, event_type, page_type, device, event_details,
    _landed_at > _day + interval 72 hour as is_late, event_timestamp, _day as event_date
from {raw}
qualify row_number() over (partition by _day, event_id order by event_timestamp, event_details, _landed_at) = 1;

create table covered as
with busy as (
    select customer_id, event_date
    from events
    where customer_id is not null
    group by all
    having count(*) >= 47
        and min(event_timestamp) <= event_date + interval 30 minute
        and max(event_timestamp) >= event_date + interval 1410 minute
),

gaps as (
    select customer_id, event_date, event_timestamp - lag(event_timestamp) over (
        partition by customer_id, event_date order by event_timestamp
    ) as gap
    from events
    semi join busy using (customer_id, event_date)
)

select customer_id, event_date from gaps group by all having max(gap) <= interval 30 minute;

create table events_sessionized as
with ordered as (
    select *, lag(event_timestamp) over w as previous_at, row_number() over w as n
    from events
    where customer_id is not null
    window w as (partition by customer_id order by event_timestamp, event_id)
),

flagged as (
    select
        ordered.*,
        here.customer_id is not null as is_day_covered,
        previous_at is null
        or event_timestamp > previous_at + interval 30 minute
        or (previous_at::date < ordered.event_date and before.customer_id is not null) as is_first
    from ordered
    left join covered as here on here.customer_id = ordered.customer_id and here.event_date = ordered.event_date
    left join covered as before on before.customer_id = ordered.customer_id and before.event_date = previous_at::date
),

sessionized as (
    select
        *,
        last_value(if(is_first, event_id, null) ignore nulls) over w as session_id,
        last_value(if(is_first, event_timestamp, null) ignore nulls) over w as session_start_at,
        last_value(if(is_first, n, null) ignore nulls) over w as first_n
    from flagged
    window w as (
        partition by customer_id order by event_timestamp, event_id rows between unbounded preceding and current row
    )
)

select
    event_id, customer_id, session_id, event_type, page_type, device, event_details, n - first_n + 1 as event_number,
    is_late, is_day_covered, event_timestamp, session_start_at, session_start_at::date as session_date, event_date
from sessionized
union all
select
    event_id, null, null, event_type, page_type, device, event_details, null, is_late, false, event_timestamp, null,
    null, event_date
from events
where customer_id is null;

create table sessions as
with touched as (
    select
        *,
        event_details ->> 'utm_source' as source,
        event_details ->> 'utm_medium' as medium,
        event_details ->> 'utm_campaign' as campaign,
        if(coalesce(source, medium, campaign) is not null, event_number, null) as touch
    from events_sessionized
    where session_id is not null
)

select
    session_id,
    customer_id,
    arg_min_null(page_type, event_number) as landing_page,
    arg_max_null(page_type, event_number) as exit_page,
    arg_min_null(device, event_number) as device,
    arg_min_null(source, touch) as utm_source,
    arg_min_null(medium, touch) as utm_medium,
    arg_min_null(campaign, touch) as utm_campaign,
    count(*) as events,
    count(*) filter (event_type = 'page_view') as page_views,
    count(*) filter (event_type = 'product_view') as product_views,
    count(*) filter (event_type = 'add_to_cart') as cart_adds,
    count(*) filter (event_type = 'purchase') as purchases,
    (date_sub('millisecond', min(event_timestamp), max(event_timestamp)) / 1000)::decimal(38, 9) as duration_seconds,
    count(*) = 1 and count(*) filter (event_type in ('page_view', 'product_view')) = 1 as is_bounce,
    max(event_timestamp)::date > session_date as spans_midnight,
    bool_or(is_late) as has_late_events,
    bool_or(is_day_covered) as was_cut,
    min(event_timestamp) as started_at,
    max(event_timestamp) as ended_at,
    session_date
from touched
group by session_id, customer_id, session_date;
