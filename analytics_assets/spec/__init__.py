"""What a domain declares: sources, extracts, reports; and typed views of assets and of dbt's models. No I/O."""
