"""Statistics of finished runs: metrics, intervals, verdicts and power; without torch."""
