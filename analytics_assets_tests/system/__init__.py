"""Tests that start programs: the command line, servers, the daemon, a browser."""
