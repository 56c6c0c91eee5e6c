"""Tests of the helpers, without Docker."""
