"""dbt within Dagster: parsed once, run in the step's own process, each model an asset. Its SQL lies in dbt_project/."""
