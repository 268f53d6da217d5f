"""Operating the project: health, alerts, reconciliation, runs in this process, Dagster's home, log, launcher, UI."""
