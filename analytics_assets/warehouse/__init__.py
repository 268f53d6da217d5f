"""Where days are kept and made: the lake's Parquet, DuckDB, BigQuery, and dbt inside a Dagster step.

Knows no domain.
"""
