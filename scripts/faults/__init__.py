"""Planted faults: disturb real builds, and check that the next build is right."""
