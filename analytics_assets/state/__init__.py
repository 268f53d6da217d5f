"""What is remembered between runs: what landed, what is built from what, what failed, what checks found. No assets."""
