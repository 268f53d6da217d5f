"""Raw files and API pages in, daily analytics out: every table is a Dagster asset with a day for a partition."""
