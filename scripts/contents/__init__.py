"""Readers for the contents of an image: layers, ELF files, packages, SBOM. They run nothing."""
