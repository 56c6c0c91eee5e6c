"""Tests of tests/support."""
