"""Mirrors the package; test_laws.py holds every asset of the graph to the five laws."""
