"""Explain why the steps of a build ran again."""
