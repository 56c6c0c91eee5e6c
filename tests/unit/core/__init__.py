"""Tests of scripts/core."""
