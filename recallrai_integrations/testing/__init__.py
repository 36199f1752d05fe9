"""Suites of behaviour that your own classes, and ours, are held to."""
