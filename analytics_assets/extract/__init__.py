"""From an API to files in the inbox: paged requests within a budget, pulls that resume after a kill."""
