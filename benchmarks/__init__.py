"""Benchmarks: speed as ratios to something outside the project, measured in the same run."""
