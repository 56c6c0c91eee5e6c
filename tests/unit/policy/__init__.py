"""Tests of scripts/policy and scripts/dockerfile."""
