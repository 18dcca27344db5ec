"""Between the plan and the runs: which are missing, and how they are run."""
