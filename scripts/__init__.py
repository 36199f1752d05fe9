"""What `make` runs besides the tests: the package tried, the site, and lists of what is public."""
