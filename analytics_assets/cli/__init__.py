"""The command line: one file per group of commands; only options and output, the work is elsewhere."""
