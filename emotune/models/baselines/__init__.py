"""Baselines that are not trained in steps: class frequencies, machines on hand-made features, logistic regression."""
