"""Tests of scripts/engine."""
