"""Raw files and API pages in, daily analytics out: every table is a Dagster asset with a day for a partition."""

import gc

__version__ = "0.1.0"
"""The newest release. The package's metadata and `analytics-assets --version` take it from here."""

# A process makes some 300,000 objects while it loads Dagster, dbt and the definitions, and they stay until it ends. By
# default Python looks through all of them for garbage five times meanwhile, which is a quarter of the time of a load.
gc.set_threshold(50_000, 10, 10)
