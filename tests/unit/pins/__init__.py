"""Tests of scripts/pins."""
