"""The cache mounts: their contents, their usage and their savings."""
