"""Sample data with real defects, at any scale. What a row is, the domains say."""
