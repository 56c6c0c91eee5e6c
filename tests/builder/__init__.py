"""How builders take our Dockerfiles."""
