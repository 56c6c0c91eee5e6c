"""Tests of scripts/cli."""
