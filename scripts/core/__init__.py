"""Modules for every package: messages, paths, programs, git. They import no other package."""
