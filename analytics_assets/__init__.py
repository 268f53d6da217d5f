"""Raw files and API pages in, daily analytics out: every table is a Dagster asset with a day for a partition."""

import gc

__version__ = "0.1.0"
"""The newest release. The package's metadata and `analytics-assets --version` take it from here."""

# What a process makes while it loads Dagster, dbt and the definitions stays until it ends. By default Python looks
# through all of it for garbage several times meanwhile, which would be a good part of the time of a load.
gc.set_threshold(50_000, 10, 10)
