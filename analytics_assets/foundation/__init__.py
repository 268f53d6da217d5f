"""Shared basics: atomic files and locks, clear errors, text that is safe to show. Nothing here is about any data."""
