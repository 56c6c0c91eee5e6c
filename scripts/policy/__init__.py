"""The cache contract of ADR-0923, held by checks: `nox -s policy`, docs/policy.md."""
