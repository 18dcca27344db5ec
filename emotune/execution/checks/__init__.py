"""Checks before training starts: settings, disks, data, networks, nodes."""
