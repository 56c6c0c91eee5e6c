"""Tests of scripts/policy."""
