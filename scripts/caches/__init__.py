"""The cache mounts: what they hold, what uses them, and what they saved."""
