"""Networks, baselines and weights."""
