"""The warehouse in a company: reading it, loading raw days, what a day would cost there."""
