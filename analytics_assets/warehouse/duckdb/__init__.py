"""The warehouse on a laptop: one DuckDB file."""
