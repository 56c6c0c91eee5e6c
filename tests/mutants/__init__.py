"""Proof that each property of the images can fail."""
