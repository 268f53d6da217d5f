"""What a domain declares: sources, extracts, reports; and typed views of assets and dbt models. No I/O."""
