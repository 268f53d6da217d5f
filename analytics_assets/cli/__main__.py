"""`python -m analytics_assets.cli`."""

from analytics_assets.cli.app import app

app()
