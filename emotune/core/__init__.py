"""The basis of all packages: errors, files, the host, processes. Nothing here knows of studies."""
