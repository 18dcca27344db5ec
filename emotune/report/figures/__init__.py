"""The report's figures: each function takes tidy tables and gives a figure; none knows about files."""
