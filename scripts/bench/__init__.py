"""The benchmarks. They are optional: no other package imports them, but for the command line."""
