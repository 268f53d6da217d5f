"""What keeps the project running by itself: Dagster's home and storage, dead runs, the inventory, the warnings."""
