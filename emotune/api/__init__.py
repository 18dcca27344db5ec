"""What the commands call, and a script or notebook can: run a study, train a run, load results and predictors."""
