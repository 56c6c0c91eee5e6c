"""Properties of the built images."""
