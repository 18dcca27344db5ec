"""Classifiers that are no networks."""
