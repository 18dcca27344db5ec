"""What every room stands on: errors, files, the host, processes. It knows nothing of studies."""
