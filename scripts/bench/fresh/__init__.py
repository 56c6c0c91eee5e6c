"""The bench of fresh machines: how long a CI machine without data takes to build a new commit."""
