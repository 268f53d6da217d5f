{{ config(materialized='table_function', parameters={'first_day': 'date', 'last_day': 'date'}) }}

{{ products_by_period('activity_date', minus_days('summed.period', -1), minus_days('summed.period', 1)) }}
