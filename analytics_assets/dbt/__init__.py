"""dbt within Dagster: parsed once, run in the step's process, one asset per model. The SQL is in dbt_project/."""
