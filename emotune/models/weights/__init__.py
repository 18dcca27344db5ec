"""Weights: of runs, and of others."""
