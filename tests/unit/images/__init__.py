"""Tests of scripts/images."""
