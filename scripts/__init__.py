"""What the nox sessions do: engine, bases, sources, build, verify."""
