"""Tests of scripts/faults, without Docker."""
