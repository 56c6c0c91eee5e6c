"""Tests of scripts/lock."""
