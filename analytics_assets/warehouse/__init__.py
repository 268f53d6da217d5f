"""Where days are kept: the lake's Parquet, DuckDB, BigQuery, the published copy. What is in them, dbt decides."""
