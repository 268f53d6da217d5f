"""Raw files and API pages in, daily analytics out: every table is a Dagster asset with a day for a partition."""

__version__ = "0.1.0"
"""The newest release. The package's metadata and `analytics-assets --version` take it from here."""
