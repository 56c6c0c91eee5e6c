"""Tests of scripts/bench/fresh."""
