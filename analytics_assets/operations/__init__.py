"""What keeps the project running by itself: health, alerts, reconciliation, runs in this process, Dagster's home."""
