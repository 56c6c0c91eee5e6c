"""Tests of scripts/dockerfile."""
