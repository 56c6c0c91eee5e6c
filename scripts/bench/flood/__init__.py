"""The bench of the scoring server under a flood of requests."""
