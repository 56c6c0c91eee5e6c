"""Tests of tests/mutants, without images."""
