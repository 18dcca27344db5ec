"""Baselines, which are not trained in steps: class frequencies, machines, logistic regression, prompts."""
