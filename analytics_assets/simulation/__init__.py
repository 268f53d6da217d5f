"""Sample data with real defects, at any scale. The domains define what a row is."""
