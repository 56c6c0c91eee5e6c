"""The tests, by what they need: nothing (unit), built images (images, mutants)."""
