"""Tests of what is decided around dbt, without running it."""
