"""Tests of the scoring server through its interfaces: HTTP, gRPC and the page for browsers."""
