-- The view says what an event is, this keeps it: one rule, and no second copy of it that could drift. A column that is
-- new in the view is taken on (on_schema_change), with nulls in the days that are still to be made with it.
select * from {{ ref('stg_clickstream') }}
where {{ in_window('event_date') }}
