"""Where days are stored: the lake's Parquet, DuckDB, BigQuery, the published copy. dbt decides what is in them."""
