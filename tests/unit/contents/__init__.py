"""Tests of scripts/contents."""
