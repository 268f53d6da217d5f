"""The warehouse on a laptop."""
