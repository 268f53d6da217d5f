"""State kept between runs: landed files, builds and their inputs, failures, check results. Defines no assets."""
