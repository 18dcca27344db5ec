"""Networks, one paper a file."""
