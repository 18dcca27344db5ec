"""Configuration of studies, runs, models and training: validated dataclasses, without torch."""
