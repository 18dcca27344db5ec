"""Run directories: their files, their leases, and the store of all runs of all studies."""
