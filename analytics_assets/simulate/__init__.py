"""Sample data with real defects, at any scale. Knows no domain: what a row is, the domains say."""
