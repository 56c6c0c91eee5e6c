"""Tests of scripts/bench/flood."""
