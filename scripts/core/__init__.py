"""Modules for all packages: messages, paths, programs, git. They import no other package."""
