"""What a study, a run, a model and its training are: validated values, without torch."""
