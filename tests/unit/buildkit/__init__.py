"""Tests of scripts/buildkit."""
