"""Training: from a run's configuration to its record, in one process, under torchrun or under Ray."""
