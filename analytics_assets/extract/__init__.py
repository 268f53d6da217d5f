"""From an API to files in the inbox: paged requests within a budget, pulls that go on after a kill."""
