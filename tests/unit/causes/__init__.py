"""Tests of scripts/causes."""
