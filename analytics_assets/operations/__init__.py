"""Operations: health, alerts, reconciliation, in-process runs; Dagster's home, event log, launcher and UI."""
