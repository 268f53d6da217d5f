"""Sample data with real defects, at any scale. The domains say what a row is."""
