"""The BigQuery warehouse, for companies: reads, loads of raw days, cost estimates."""
