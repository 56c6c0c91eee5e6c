"""Tests of scripts/caches."""
