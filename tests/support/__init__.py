"""Helpers that tests share: images under test, servers, containers, archives and records."""
