"""From a run's configuration to its record: one function, alone, under torchrun or under Ray."""
