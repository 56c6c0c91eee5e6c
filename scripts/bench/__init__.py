"""The benchmarks. They are optional: only the command line imports this package."""
