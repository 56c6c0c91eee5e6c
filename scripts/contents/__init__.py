"""What is in a built image, read without running it: layers, ELF files, packages, SBOM."""
