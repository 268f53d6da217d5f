"""Tests that start nothing: no process, no dbt, no browser, no server but a fake in this process."""
