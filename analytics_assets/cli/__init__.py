"""The command line: one file for each group of commands; options and words only."""
