"""Baselines that are not networks: the classes' frequencies, and support vector machines on hand-made features."""
