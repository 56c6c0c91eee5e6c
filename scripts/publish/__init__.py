"""Publish images: their tags, what forbids it, and the registry."""
