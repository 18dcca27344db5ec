"""Data sets as studies name them: resolved to references, located, and drawn where they are the embedded one."""
