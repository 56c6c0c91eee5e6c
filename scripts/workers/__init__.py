"""Builds of several images on several builders: placement, queue, run."""
