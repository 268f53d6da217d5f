{{ config(materialized='table_function', parameters={'first_day': 'date', 'last_day': 'date'}) }}

{{ products_by_period(
    monday_of('activity_date'), minus_days('summed.period', -7), minus_days('summed.period', 7)
) }}
