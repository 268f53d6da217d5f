"""What a domain declares: sources, extracts, reports, models; and what an asset is. Only values, no I/O."""
