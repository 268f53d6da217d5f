"""What is made and when: stale days, the conditions that request them, and the runs that make them."""
