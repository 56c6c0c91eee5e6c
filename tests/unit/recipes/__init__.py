"""Tests of docker/recipes."""
