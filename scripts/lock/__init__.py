"""The lock of the sources: its format, what the origins have now, and its update."""
