"""Which runs a study needs, why, and what they will cost."""
