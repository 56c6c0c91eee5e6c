"""Tests of scripts/report."""
