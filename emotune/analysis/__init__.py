"""From run directories to statistics; without torch."""
