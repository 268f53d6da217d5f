"""Raw days on BigQuery: kept in the lake as everywhere, and loaded from there into a native table."""
