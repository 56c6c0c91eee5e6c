"""Tests of scripts/workers."""
