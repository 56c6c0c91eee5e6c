"""Mutants: images and files with a fault that a property or a rule of the policy must report."""
