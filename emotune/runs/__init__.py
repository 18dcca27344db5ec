"""Run directories with their records and leases, the store of all runs, and the registry of studies."""
