{{ config(materialized='table_function', parameters={'first_day': 'date', 'last_day': 'date'}) }}

{{ products_by_period(
    first_of_month('activity_date'),
    first_of_month(minus_days('summed.period', -31)),
    first_of_month(minus_days('summed.period', 1))
) }}
