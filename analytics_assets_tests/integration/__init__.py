"""Tests of the rooms together: dbt, Dagster's runs, servers."""
